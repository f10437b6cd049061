"""What plans the jobs of each kind, for the planner."""

from collections.abc import Mapping

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.sources import Sources
from catalog.adapters.tenants_table import Tenants
from catalog.domain.jobs import JobKind, Steps
from catalog.use_cases.importing import ImportSteps
from catalog.use_cases.recounting import RecountSteps


def steps() -> Mapping[JobKind, Steps]:
    assets, tenants = Assets(settings.assets_table()), Tenants(settings.tenants_table())
    return {
        JobKind.IMPORT: ImportSteps(Sources()),
        JobKind.RECOUNT: RecountSteps(assets, tenants),
    }
