"""PUT and DELETE /v1/images/{id}/references/{reference}: say who uses an asset, and who no longer does."""

from datetime import UTC, datetime

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.api.http import Answer, Api, Call, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.inputs.references import path_reference
from catalog.api.representations import asset_json
from catalog.composition import viewing
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = viewing.renditions()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())

# A name may hold slashes, which come as they are or as %2F: it is all that follows.
_REFERENCE = "/images/<id_>/references/.+"


def _reference(call: Call) -> str:
    return path_reference(call.event.path.partition("/references/")[2])


@app.route("PUT", _REFERENCE)
def put_reference(call: Call, id_: str) -> Answer:
    key = AssetKey(call.tenant, path_asset_id(id_))
    asset = assets.take_reference(key, _reference(call))
    logger.info("reference taken", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceTaken")
    return ok(asset_json(asset, urls=renditions))


@app.route("DELETE", _REFERENCE)
def delete_reference(call: Call, id_: str) -> Answer:
    key = AssetKey(call.tenant, path_asset_id(id_))
    asset = assets.release_reference(key, _reference(call), now=datetime.now(UTC))
    logger.info("reference released", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceReleased")
    return ok(asset_json(asset, urls=renditions))


handler = app.handler
