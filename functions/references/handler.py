"""PUT and DELETE /v1/images/{id}/references/{reference}: say who uses an asset, and who no longer does."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Renditions
from catalog.api.http import api, client_id, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.inputs.references import path_reference
from catalog.api.representations import asset_json
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger, metrics

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
app = api(allow_origin=settings.cors_allow_origin())

# A name may hold slashes, which come as they are or as %2F: it is all that follows.
_REFERENCE = "/images/<id_>/references/.+"


def _reference() -> str:
    return path_reference(app.current_event.path.partition("/references/")[2])


@app.put(_REFERENCE)
def put_reference(id_: str) -> Response[str]:
    key = AssetKey(clients.tenant_of(client_id(app)), path_asset_id(id_))
    asset = assets.take_reference(key, _reference())
    logger.info("reference taken", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceTaken")
    return ok(asset_json(asset, url_of=renditions.url))


@app.delete(_REFERENCE)
def delete_reference(id_: str) -> Response[str]:
    key = AssetKey(clients.tenant_of(client_id(app)), path_asset_id(id_))
    asset = assets.release_reference(key, _reference(), now=datetime.now(UTC))
    logger.info("reference released", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceReleased")
    return ok(asset_json(asset, url_of=renditions.url))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
