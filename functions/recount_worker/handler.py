"""State machine of jobs -> recount_worker: one part of a recount job."""

from catalog import settings
from catalog.adapters.jobs_table import Jobs
from catalog.job_lines import line_handler
from catalog.use_cases.job_parts import Parts, Unbuilt

parts = Parts(Jobs(settings.jobs_table()), Unbuilt())

handler = line_handler(lambda: parts)
