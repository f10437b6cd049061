"""State machine of jobs -> recount_worker: one part of a recount job."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.jobs_table import Jobs
from catalog.adapters.recounts import Recounts
from catalog.adapters.references_table import References
from catalog.adapters.usage_table import Counters
from catalog.job_lines import line_handler
from catalog.use_cases.job_parts import Parts
from catalog.use_cases.recounting import EntriesWorker, Recounting, RecountWorker

assets = Assets(settings.assets_table())
worker = Recounting(
    RecountWorker(assets, Counters(settings.usage_table()), Recounts(settings.usage_table())),
    EntriesWorker(assets, References(settings.references_table(), settings.assets_table())),
)
parts = Parts(Jobs(settings.jobs_table()), worker)

handler = line_handler(lambda: parts)
