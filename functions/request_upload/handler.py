"""POST /v1/images: announce bytes, get the asset they already are or a URL to send them to."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Originals, Renditions
from catalog.adapters.queues import UploadsQueue
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import api, body_text, client_id, created, ok, request_id
from catalog.api.inputs.uploads import upload_request
from catalog.api.representations import asset_json, ticket_json
from catalog.domain.keys import AssetKey
from catalog.domain.uploads import UploadTicket
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.uploads import Uploads

clients = Clients(settings.clients_table())
uploads = Uploads(
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    queue=UploadsQueue(settings.uploads_queue_url()),
    tenants=Tenants(settings.tenants_table()),
    counters=Counters(settings.usage_table()),
)
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
max_upload_bytes = settings.max_upload_bytes()
app = api(allow_origin=settings.cors_allow_origin())


@app.post("/images")
def post_image() -> Response[str]:
    tenant = clients.tenant_of(client_id(app))
    id_, announced = upload_request(body_text(app), max_upload_bytes=max_upload_bytes)
    result = uploads.announce(AssetKey(tenant, id_), announced, correlation_id=request_id(app))
    if isinstance(result, UploadTicket):
        logger.info("upload offered", tenant=tenant, asset_id=id_, size_bytes=announced.size_bytes)
        count("UploadOffered")
        return created(ticket_json(result))
    logger.info("upload known", tenant=tenant, asset_id=id_, status=result.status)
    count("UploadKnown")
    return ok(asset_json(result, url_of=renditions.url))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
