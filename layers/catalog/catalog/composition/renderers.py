"""What render and jobs render assets with."""

from catalog import settings
from catalog.adapters.objects import Renditions
from catalog.composition import completing
from catalog.use_cases.rendering import Renderer, Rendering
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
