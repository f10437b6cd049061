"""What plans the jobs of each kind, for the planner."""

from collections.abc import Mapping

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.sources import Sources
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.domain.duplicate_jobs import IMAGES_PER_GROUPING
from catalog.domain.jobs import JobKind, Steps
from catalog.domain.tenants import late_uploads_end_after
from catalog.use_cases.erasing import TenantErasureSteps
from catalog.use_cases.erasing_images import ImageErasureSteps
from catalog.use_cases.erasures import ErasureSteps
from catalog.use_cases.finding_duplicates import GROUPS, SEARCH, FindDuplicatesSteps
from catalog.use_cases.importing import ImportSteps
from catalog.use_cases.job_ranges import RangeSteps
from catalog.use_cases.rebuilding import RebuildSteps
from catalog.use_cases.recounting import RecountSteps


def steps() -> Mapping[JobKind, Steps]:
    assets, tickets_last = Assets(settings.assets_table()), settings.upload_url_lasts()
    tenants = Tenants(settings.tenants_table(), tickets_last=tickets_last)
    counters = Counters(settings.usage_table())
    return {
        JobKind.FIND_DUPLICATES: FindDuplicatesSteps(
            settings.near_duplicate_action(),
            searches=RangeSteps(tenants, counters, (SEARCH,)),
            groups=RangeSteps(tenants, counters, (GROUPS,), per_part=IMAGES_PER_GROUPING),
        ),
        JobKind.IMPORT: ImportSteps(Sources()),
        JobKind.REBUILD: RebuildSteps(tenants, counters, settings.presets(), settings.old_renditions()),
        JobKind.ERASE: ErasureSteps(
            TenantErasureSteps(tenants, assets),
            ImageErasureSteps(assets, late_uploads_end_after(tickets_last)),
        ),
        JobKind.RECOUNT: RecountSteps(assets, tenants),
    }
