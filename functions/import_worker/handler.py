"""State machine of jobs -> import_worker: one part of an import, a hundred objects of a bucket."""

from dataclasses import replace
from functools import partial

from catalog import settings
from catalog.adapters.imports_table import Imports
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.queues import UploadsQueue
from catalog.adapters.references_table import References
from catalog.adapters.sources import CopiedOriginals, Sources
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.composition import ingesting, renderers
from catalog.job_lines import line_handler
from catalog.use_cases.importing import AT_ONCE, Importing
from catalog.use_cases.intake import Intake
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.side_by_side import Processor, SideBySide
from imaging.inspection import inspect
from imaging.renditions import render

originals = CopiedOriginals(settings.originals_bucket())
processor = Processor()
renders = renderers.rendering(processor.rendering(partial(render, limits=settings.pixel_limits())))
# One decode for all presets: no client waits for a single preset here.
plan = replace(renders.plan, presets_per_job=len(renders.plan.presets))
completion = replace(renders.completion, originals=originals, plan=plan, renders_at_once=True)
intake = Intake(
    sources=Sources(),
    assets=completion.assets,
    references=References(settings.references_table(), settings.assets_table()),
    originals=originals,
    queue=UploadsQueue(settings.uploads_queue_url()),
    imports=Imports(settings.imported_table(), settings.assets_table()),
    tenants=Tenants(settings.tenants_table()),
    counters=Counters(settings.usage_table()),
    ingestion=ingesting.ingestion(
        completion,
        processor.inspecting(
            partial(inspect, limits=settings.pixel_limits(), algorithm=settings.phash_algorithm())
        ),
    ),
    rendering=replace(renders, originals=originals, completion=completion, plan=plan),
    max_upload_bytes=settings.max_upload_bytes(),
    told=ingesting.log,
)
importing = Importing(intake)
parts = Parts(Jobs(settings.jobs_table()), importing, SideBySide(importing.weight, AT_ONCE))

handler = line_handler(lambda: parts)
