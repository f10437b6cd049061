"""State machine of jobs -> find_duplicates_worker: one part of a find-duplicates job."""

from functools import partial

from catalog import settings
from catalog.adapters.jobs_table import Jobs
from catalog.composition import finding
from catalog.job_lines import line_handler
from catalog.use_cases.finding_duplicates import AT_ONCE
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.side_by_side import Processor, SideBySide
from imaging.inspection import inspect

limits, algorithm = settings.pixel_limits(), settings.phash_algorithm()
worker = finding.worker(Processor().inspecting(partial(inspect, limits=limits, algorithm=algorithm)))
parts = Parts(Jobs(settings.jobs_table()), worker, SideBySide(worker.weight, AT_ONCE))

handler = line_handler(lambda: parts)
