"""GET /v1/images/{id}: one asset, with URLs of its renditions."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Renditions
from catalog.api.http import api, client_id, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.representations import asset_json
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger, metrics

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
app = api(allow_origin=settings.cors_allow_origin())


@app.get("/images/<id_>")
def get_image(id_: str) -> Response[str]:
    tenant = clients.tenant_of(client_id(app))
    asset = assets.get(AssetKey(tenant, path_asset_id(id_)))
    count("ImageRead")
    return ok(asset_json(asset, url_of=renditions.url))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
