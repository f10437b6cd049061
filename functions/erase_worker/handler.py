"""State machine of jobs -> erase_worker: one part of a job that erases a tenant, or one image."""

from functools import partial

from catalog import settings
from catalog.adapters.jobs_table import Jobs
from catalog.composition import erasing
from catalog.job_lines import line_handler
from catalog.use_cases.job_parts import Parts
from imaging.renditions import render

parts = Parts(Jobs(settings.jobs_table()), erasing.erasure(partial(render, limits=settings.pixel_limits())))

handler = line_handler(lambda: parts)
