"""POST /v1/compare: what every preset would make of an image, in every format.  Nothing is stored."""

from functools import partial

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Originals
from catalog.api.http import Answer, Api, Call, ok
from catalog.api.inputs.comparisons import compare_request
from catalog.api.representations import comparison_json
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger
from catalog.use_cases.comparing import Comparing
from imaging.comparison import measure

clients = Clients(settings.clients_table())
comparing = Comparing(
    assets=Assets(settings.assets_table()),
    originals=Originals(settings.originals_bucket()),
    measure=partial(
        measure,
        presets_per_job=settings.presets_per_job(),
        limits=settings.pixel_limits(),
        rendered_on_arrival=settings.pixels_rendered_on_arrival(),
    ),
    presets=settings.presets(),
    max_upload_bytes=settings.max_upload_bytes(),
)
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("POST", "/compare")
def post_comparison(call: Call) -> Answer:
    event = call.event
    given = compare_request(
        event.body,
        is_base64=bool(event.is_base64_encoded),
        content_type=event.headers.get("Content-Type", ""),
    )
    comparisons = comparing.compare(given if isinstance(given, bytes) else AssetKey(call.tenant, given))
    logger.info("image compared", tenant=call.tenant, stored=not isinstance(given, bytes))
    count("ImageCompared")
    return ok(comparison_json(comparisons))


handler = app.handler
