"""POST /v1/images, and /v1/images/batch for many: announce bytes, get the asset or a URL for them."""

from collections import Counter
from typing import Any

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Originals
from catalog.adapters.queues import UploadsQueue
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import Answer, Api, Call, created, item_created, item_ok, item_refused, ok
from catalog.api.inputs.uploads import Announced, announcements_request, upload_request
from catalog.api.representations import asset_json, known_json, ticket_json
from catalog.composition import viewing
from catalog.domain.errors import CallerError
from catalog.domain.keys import AssetKey
from catalog.domain.uploads import UploadTicket
from catalog.telemetry import count, logger
from catalog.use_cases.uploads import Outcome, Uploads

clients = Clients(settings.clients_table())
uploads = Uploads(
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket(), tickets_last=settings.upload_url_lasts()),
    queue=UploadsQueue(settings.uploads_queue_url()),
    tenants=Tenants(settings.tenants_table()),
    counters=Counters(settings.usage_table()),
)
renditions = viewing.renditions()
max_upload_bytes = settings.max_upload_bytes()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/images")
def post_image(call: Call) -> Answer:
    id_, announced = upload_request(call.body, max_upload_bytes=max_upload_bytes)
    result = uploads.announce(AssetKey(call.tenant, id_), announced, correlation_id=call.request_id)
    if isinstance(result, UploadTicket):
        logger.info("upload offered", tenant=call.tenant, asset_id=id_, size_bytes=announced.size_bytes)
        count("UploadOffered")
        return created(ticket_json(result))
    logger.info("upload known", tenant=call.tenant, asset_id=id_, status=result.status)
    count("UploadKnown")
    return ok(asset_json(result, urls=renditions))


@app.route("POST", "/images/batch")
def post_images(call: Call) -> Answer:
    asked = announcements_request(call.body, max_upload_bytes=max_upload_bytes)
    announced = [
        (one.id, one.announcement)
        for one in asked
        if one.id is not None and not isinstance(one.announcement, CallerError)
    ]
    outcomes = uploads.announce_all(call.tenant, announced, correlation_id=call.request_id)
    answers = [
        _item(one, one.announcement if isinstance(one.announcement, CallerError) else next(outcomes))
        for one in asked
    ]
    statuses = Counter(str(answer["status"]) for answer in answers)
    logger.info("uploads announced", tenant=call.tenant, statuses=dict(statuses))
    count("UploadOffered", statuses["201"])
    count("UploadKnown", statuses["200"])
    return ok({"answers": answers})


def _item(one: Announced, outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"id": one.id, "ticket": None, "known": None}
    if isinstance(outcome, CallerError):
        return item_refused(outcome, facts)
    if isinstance(outcome, UploadTicket):
        logger.info("upload offered", tenant=outcome.key.tenant, asset_id=outcome.key.id)
        return item_created(facts | {"ticket": ticket_json(outcome)})
    return item_ok(facts | {"known": known_json(outcome)})


handler = app.handler
