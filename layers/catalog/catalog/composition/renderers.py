"""What render and jobs render assets with, and what they log of it."""

from typing import Any

from catalog import settings
from catalog.adapters.objects import Renditions
from catalog.composition import completing
from catalog.domain.keys import AssetKey
from catalog.telemetry import count, logger
from catalog.use_cases.rendering import Rendered, Renderer, Rendering
from catalog.use_cases.storing import Storing


def rendering(renderer: Renderer) -> Rendering:
    """`renderer` is the imaging layer's, which only some functions have."""
    completion = completing.completion()
    return Rendering(
        assets=completion.assets,
        originals=completion.originals,
        storing=Storing(completion.assets, Renditions(settings.renditions_bucket())),
        renderer=renderer,
        completion=completion,
        plan=completion.plan,
        max_upload_bytes=settings.max_upload_bytes(),
    )


def log(key: AssetKey, rendered: Rendered, correlation_id: str | None, **facts: Any) -> None:
    logger.info(
        str(rendered.outcome),
        correlation_id=correlation_id,
        tenant=key.tenant,
        asset_id=key.id,
        ready=rendered.ready,
        size_bytes=sum(rendition.size_bytes for rendition in rendered.renditions),
        **facts,
    )
    count("RenditionsWritten", len(rendered.renditions))
