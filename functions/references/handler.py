"""Say who uses an asset, and who no longer does.

PUT and DELETE /v1/images/{id}/references/{reference}; PUT /v1/references for many.
"""

from datetime import UTC, datetime
from typing import Any

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.references_table import References
from catalog.api.http import Answer, Api, Call, item_ok, item_refused, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.inputs.references import Wanted, details_request, path_reference, references_request
from catalog.api.representations import asset_json
from catalog.composition import viewing
from catalog.domain.errors import CallerError
from catalog.domain.keys import AssetKey
from catalog.domain.references import Use
from catalog.telemetry import count, logger
from catalog.use_cases.referring import Referring

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
references = References(settings.references_table(), settings.assets_table())
referring = Referring(references)
renditions = viewing.renditions()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())

# A name may hold slashes, which come as they are or as %2F: it is all that follows.
_REFERENCE = "/images/<id_>/references/.+"


def _reference(call: Call) -> str:
    return path_reference(call.event.path.partition("/references/")[2])


@app.route("PUT", _REFERENCE)
def put_reference(call: Call, id_: str) -> Answer:
    key = AssetKey(call.tenant, path_asset_id(id_))
    reference = _reference(call)
    use = details_request(reference, call.body)
    references.take(key, [use or Use(reference)], keep=use is None)
    asset = assets.get(key)
    logger.info("reference taken", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceTaken")
    return ok(asset_json(asset, urls=renditions))


@app.route("DELETE", _REFERENCE)
def delete_reference(call: Call, id_: str) -> Answer:
    key = AssetKey(call.tenant, path_asset_id(id_))
    asset = references.release(key, _reference(call), now=datetime.now(UTC))
    logger.info("reference released", tenant=key.tenant, asset_id=key.id, references=len(asset.references))
    count("ReferenceReleased")
    return ok(asset_json(asset, urls=renditions))


@app.route("PUT", "/references")
def put_references(call: Call) -> Answer:
    wanted = references_request(call.body)
    asked = [(one.id, one.use) for one in wanted if one.id is not None and isinstance(one.use, Use)]
    outcomes = referring.set_all(call.tenant, asked)
    answers = [_item(one, outcomes.get(one.id) if one.id else None) for one in wanted]
    refused = sum(answer["error"] is not None for answer in answers)
    logger.info("references set", tenant=call.tenant, references=len(answers) - refused, refused=refused)
    count("ReferenceTaken", len(answers) - refused)
    return ok({"answers": answers})


def _item(one: Wanted, outcome: CallerError | None) -> dict[str, Any]:
    facts = {"id": one.id, "reference": one.reference}
    error = outcome if isinstance(one.use, Use) else one.use
    return item_refused(error, facts) if error else item_ok(facts)


handler = app.handler
