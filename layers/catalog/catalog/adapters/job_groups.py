"""Groups that a dry run of find-duplicates reports, in the Jobs table.

Entry `member#<tenant>#<canonical>#<image>` is a member, `group#<tenant>#<canonical>` names the first of them.
"""

from typing import Any, Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import PutError
from pynamodb.models import Model

from catalog.adapters.asset_items import near_duplicate_of, stored_verdict
from catalog.adapters.pages import Cursors, matching
from catalog.adapters.tables import bind, is_refused
from catalog.domain.duplicate_jobs import GroupMember, Join
from catalog.domain.jobs import JOBS_KEPT_FOR, Job
from catalog.domain.keys import AssetId, TenantId
from catalog.domain.paging import Page, PageRequest

_MEMBERS: Final = "member#"
_GROUPS: Final = "group#"
_CURSORS: Final = Cursors(
    job=matching("[0-9A-Za-z-]{1,64}"), entry=matching("member#[a-z0-9-]{1,63}#[0-9a-f]{64}#[0-9a-f]{64}")
)


class _Entry(Model):
    class Meta:
        table_name = ""

    job = UnicodeAttribute(hash_key=True)
    entry = UnicodeAttribute(range_key=True)
    # Not `tenant`: the entry is in none of the table's lists of jobs.
    of_tenant = UnicodeAttribute(null=True)
    canonical = UnicodeAttribute(null=True)
    image = UnicodeAttribute()
    of = UnicodeAttribute(null=True)
    verdict = UnicodeAttribute(null=True)
    bytes_saved = NumberAttribute(null=True)
    expires_at = NumberAttribute()


class JobGroups:
    """The groups of each job's report."""

    def __init__(self, table_name: str) -> None:
        self._model = bind(_Entry, table_name)

    def keep(self, job: Job, member: GroupMember) -> bool:
        """Record a member; return whether it is the first of its group.  A repetition returns the same."""
        expires_at = int((job.created_at + JOBS_KEPT_FOR).timestamp())
        group = f"{member.tenant}#{member.canonical}"
        join = member.join
        self._model(
            job.id,
            f"{_MEMBERS}{group}#{join.image}",
            of_tenant=member.tenant,
            canonical=member.canonical,
            image=join.image,
            of=join.verdict.of,
            verdict=stored_verdict(join.verdict),
            bytes_saved=join.bytes_saved,
            expires_at=expires_at,
        ).save()
        first = self._model(job.id, _GROUPS + group, image=join.image, expires_at=expires_at)
        try:
            first.save(condition=self._model.job.does_not_exist() | (self._model.image == join.image))
        except PutError as error:
            if not is_refused(error):
                raise
            return False
        return True

    def page(self, job_id: str, asked: PageRequest) -> Page[GroupMember]:
        """A page of members, sorted by group.  Raises InvalidCursorError."""
        items: Any = self._model.query(
            job_id,
            self._model.entry.startswith(_MEMBERS),
            limit=asked.limit,
            page_size=asked.limit,
            last_evaluated_key=_CURSORS.key(asked.cursor, job=job_id),
            consistent_read=True,
        )
        return _CURSORS.page(items, asked.limit).map(_member)


def _member(item: _Entry) -> GroupMember:
    join = Join(AssetId(item.image), near_duplicate_of(item.of, item.verdict), int(item.bytes_saved))
    return GroupMember(TenantId(item.of_tenant), AssetId(item.canonical), join)
