"""GET /renditions/{tenant}/{id}/{preset} of the CDN: the rendition that an image has of a preset now."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.objects import Renditions
from catalog.api.views import known_tags, nothing_there, shown
from catalog.domain.addresses import Address, NothingThereError
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.showing import Showing

showing = Showing(Assets(settings.assets_table()), Renditions(settings.renditions_bucket()))


@logger.inject_lambda_context
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    try:
        view = showing.show(Address.of_path(event["rawPath"]), known=known_tags(event))
    except NothingThereError:
        count("NothingShown")
        return nothing_there()
    count("RenditionShown")
    return shown(view)
