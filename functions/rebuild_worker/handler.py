"""State machine of jobs -> rebuild_worker: one part of a rebuild job."""

from functools import partial

from catalog import settings
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.objects import Renditions
from catalog.composition import renderers
from catalog.job_lines import line_handler
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.rebuilding import AT_ONCE, Rebuilding
from catalog.use_cases.side_by_side import Processor, SideBySide
from imaging.renditions import render

rendering = renderers.rendering(Processor().rendering(partial(render, limits=settings.pixel_limits())))
rebuilding = Rebuilding(
    assets=rendering.assets,
    renditions=Renditions(settings.renditions_bucket()),
    rendering=rendering,
    old_after=settings.old_renditions(),
)
parts = Parts(Jobs(settings.jobs_table()), rebuilding, SideBySide(rebuilding.weight, AT_ONCE))

handler = line_handler(lambda: parts)
