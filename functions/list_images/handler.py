"""GET /v1/images: a page of the tenant's assets, newest first."""

from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Renditions
from catalog.api.http import api, client_id, listed
from catalog.api.inputs.images import list_request
from catalog.api.representations import listed_json
from catalog.telemetry import count, logger, metrics

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
app = api(allow_origin=settings.cors_allow_origin())


@app.get("/images")
def get_images() -> Response[str]:
    tenant = clients.tenant_of(client_id(app))
    asked = list_request(app.current_event.query_string_parameters or {})
    page = assets.page(tenant, asked.page, status=asked.status)
    count("PageRead")
    return listed("images", page.map(partial(listed_json, url_of=renditions.url)))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
