"""What ingest and render complete assets with."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.objects import Originals
from catalog.adapters.queues import RenderQueue
from catalog.domain.render_plan import RenderPlan
from catalog.use_cases.completion import Completion
from catalog.use_cases.grouping import Grouping


def completion() -> Completion:
    assets = Assets(settings.assets_table())
    return Completion(
        assets=assets,
        originals=Originals(settings.originals_bucket()),
        grouping=Grouping(assets, Groups(settings.assets_table(), settings.pairs_table())),
        queue=RenderQueue(settings.render_queue_url()),
        plan=RenderPlan(settings.presets(), settings.presets_per_job()),
    )
