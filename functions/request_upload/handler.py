"""POST /v1/images: announce bytes, get the asset they already are or a URL to send them to."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.queues import UploadsQueue
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import Answer, Api, Call, created, ok
from catalog.api.inputs.uploads import upload_request
from catalog.api.representations import asset_json, ticket_json
from catalog.domain.keys import AssetKey
from catalog.domain.uploads import UploadTicket
from catalog.telemetry import count, logger
from catalog.use_cases.uploads import Uploads

clients = Clients(settings.clients_table())
uploads = Uploads(
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket(), tickets_last=settings.upload_url_lasts()),
    queue=UploadsQueue(settings.uploads_queue_url()),
    tenants=Tenants(settings.tenants_table()),
    counters=Counters(settings.usage_table()),
)
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
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
    return ok(asset_json(result, url_of=renditions.url))


handler = app.handler
