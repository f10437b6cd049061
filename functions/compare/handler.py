"""POST /v1/compare: what every preset would make of an image, in every format.  Nothing is stored."""

from functools import partial
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Originals
from catalog.api.http import api, client_id, ok
from catalog.api.inputs.comparisons import compare_request
from catalog.api.representations import comparison_json
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.comparing import Comparing
from imaging.comparison import compare

clients = Clients(settings.clients_table())
comparing = Comparing(
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    measure=partial(compare, presets_per_job=settings.presets_per_job(), limits=settings.pixel_limits()),
    presets=settings.presets(),
    max_upload_bytes=settings.max_upload_bytes(),
)
app = api(allow_origin=settings.cors_allow_origin())


@app.post("/compare")
def post_comparison() -> Response[str]:
    tenant = clients.tenant_of(client_id(app))
    event = app.current_event
    given = compare_request(
        event.body,
        is_base64=bool(event.is_base64_encoded),
        content_type=event.headers.get("Content-Type", ""),
    )
    comparisons = comparing.compare(given if isinstance(given, bytes) else AssetKey(tenant, given))
    logger.info("image compared", tenant=tenant, stored=not isinstance(given, bytes))
    count("ImageCompared")
    return ok(comparison_json(comparisons))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
