"""What the duplicates function and the operator's `merges` apply decisions with."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.groups import Groups
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.queues import RenderQueue
from catalog.domain.render_plan import RenderPlan
from catalog.use_cases.decisions import Decisions
from catalog.use_cases.grouping import Grouping


def decisions() -> Decisions:
    assets, groups = Assets(settings.assets_table()), Groups(settings.assets_table(), settings.pairs_table())
    return Decisions(
        assets=assets,
        pairs=Pairs(settings.pairs_table()),
        groups=groups,
        grouping=Grouping(assets, groups),
        queue=RenderQueue(settings.render_queue_url()),
        plan=RenderPlan(settings.presets(), settings.presets_per_job()),
        action=settings.near_duplicate_action(),
    )
