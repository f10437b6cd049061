"""Importing: the planner lists a bucket, or reads a manifest, in steps; a part takes a hundred objects.

A worker skips seen objects without reading them: two lookups per hundred objects.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import batched, count
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.errors import CallerError
from catalog.domain.imports import (
    BYTES_PER_STEP,
    OBJECTS_PER_PART,
    OBJECTS_PER_STEP,
    PAGES_PER_STEP,
    BadLine,
    ImportOptions,
    ObjectCode,
    Outcome,
    Seen,
    SourceObject,
    SourceObjectError,
    Subject,
    described,
    is_folder,
    parts,
    subject_of,
    subject_of_job,
)
from catalog.domain.jobs import Done, Failure, Step, Work
from catalog.domain.keys import AssetKey, asset_id
from catalog.domain.manifests import Place, entries
from catalog.domain.rejections import ImageRejectedError, Rejection
from catalog.use_cases.intake import Brought, Intake, Wanted

if TYPE_CHECKING:
    from catalog.adapters.sources import Sources
    from catalog.domain.assets import Asset
    from catalog.domain.jobs import Job

# An object waits about 0.6 s for S3 and DynamoDB, and needs the processor for 0.07 s.
AT_ONCE: Final = 8
IMPORT: Final = "import"
_BEGINNING: Final = Place()
SAMPLE: Final = "sample"  # the phase of a dry run that reads some of the objects


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject; with what an earlier import saw of it, and its asset, while that asset exists."""

    subject: Subject
    seen: Seen | None = None
    asset: Asset | None = None


@dataclass(frozen=True, slots=True)
class Importing:
    """Carries out the parts of imports."""

    intake: Intake

    def weight(self, candidate: Candidate) -> int:
        """Bytes in memory while it is taken: an object's that was not seen, as many as may be if unknown."""
        source = candidate.subject
        if isinstance(source, BadLine) or candidate.asset:
            return 0
        return source.size_bytes or self.intake.max_upload_bytes

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, Candidate]]:
        """The part's objects, looked up a hundred at a time."""
        bucket = ImportOptions.of(job.options).bucket
        for subjects in batched(_behind(work, after), OBJECTS_PER_PART, strict=False):
            keys = {subject.key for subject in subjects if isinstance(subject, SourceObject)}
            seen = self.intake.imports.many(work.tenant, bucket, keys)
            here = self.intake.assets.many(work.tenant, {one.id for one in seen.values()})
            for subject in subjects:
                known = None if isinstance(subject, BadLine) else seen.get(subject.key)
                asset = here.get(known.id) if known else None
                yield subject.name, Candidate(subject, known if asset else None, asset)

    def take(self, job: Job, work: Work, subject: Candidate) -> Done:  # noqa: PLR0911 - one an outcome
        """Import one object, or skip it."""
        source = subject.subject
        if isinstance(source, BadLine):
            return _failed(source.name, ObjectCode.BAD_LINE, source.detail)
        if source.is_no_image:
            return Done(skipped=1, counts={"not_images": 1})
        try:
            source.check_size(self.intake.max_upload_bytes)
            options = ImportOptions.of(job.options)
            told = described(source, options.pattern)
        except SourceObjectError as error:
            return _failed(source.name, error.code, error.detail) if work.phase == IMPORT else Done()
        wanted = Wanted(work.tenant, options.bucket, source, told, subject_of_job(job.id, source.name))
        try:
            if work.phase == SAMPLE:
                return self._sampled(wanted, subject.seen)
            return self._taken(wanted, subject, dry_run=job.dry_run)
        except SourceObjectError as error:
            return _failed(source.name, error.code, error.detail)
        except ImageRejectedError as error:
            return _rejected(source.name, error.rejection)
        except CallerError as error:
            return _failed(source.name, error.code, error.message)

    def _taken(self, wanted: Wanted, known: Candidate, *, dry_run: bool) -> Done:
        if wanted.source.etag is None and (known.seen or dry_run):
            wanted = replace(wanted, source=self.intake.sources.look(wanted.bucket, wanted.source))
            wanted.source.check_size(self.intake.max_upload_bytes)
        if known.seen and known.asset and known.seen.is_of(wanted.source):
            return self._known(wanted, known.seen, known.asset, dry_run=dry_run)
        if dry_run:
            return Done(done=1, counts={"new": 1, "bytes_stored": wanted.source.size_bytes or 0})
        return _done(wanted, self.intake.bring(wanted))

    def _known(self, wanted: Wanted, seen: Seen, asset: Asset, *, dry_run: bool) -> Done:
        if seen.by == wanted.by:
            return _done(wanted, Brought(seen.outcome, asset))  # a worker of this job died before its report
        if seen.outcome is Outcome.REJECTED:
            return Done(skipped=1, counts={"known": 1, "rejected_before": 1})
        if not wanted.told.references or wanted.told.digest in seen.references:
            return Done(skipped=1, counts={"known": 1})
        if not dry_run:
            self.intake.refer(wanted, seen)
        return Done(skipped=1, counts={"known": 1, "referenced": 1})

    def _sampled(self, wanted: Wanted, seen: Seen | None) -> Done:
        """Read an object as an import would, and write nothing."""
        if seen and seen.is_of(wanted.source):
            return Done()
        found = self.intake.sources.read(
            wanted.bucket, wanted.source.key, max_bytes=self.intake.max_upload_bytes
        )
        id_ = asset_id(hashlib.sha256(found.data).hexdigest())
        if known := self.intake.assets.find(AssetKey(wanted.tenant, id_)):
            rejected = {f"rejected_{known.rejection.code}": 1} if known.rejection else {}
            return Done(counts={"sampled": 1, "sampled_duplicates": 1} | rejected)
        self.intake.ingestion.inspect(found.data)
        return Done(counts={"sampled": 1, "sampled_bytes": len(found.data)})


def _worth_reading(subject: Subject) -> bool:
    """False for a subject whose outcome is known without reading it; the listing has reported that."""
    return isinstance(subject, SourceObject) and not subject.is_no_image and subject.size_bytes != 0


def _behind(work: Work, after: str | None) -> list[Subject]:
    """The part's subjects after `after`; all of them if it names none."""
    subjects = [subject_of(text) for text in work.subjects]
    names = [subject.name for subject in subjects]
    return subjects[names.index(after) + 1 :] if after in names else subjects


def _failed(name: str, code: str, detail: str) -> Done:
    return Done(failures=(Failure(name, str(code), detail),), counts={str(code): 1})


def _rejected(name: str, rejection: Rejection) -> Done:
    failure = Failure(name, str(rejection.code), rejection.detail)
    return Done(failures=(failure,), counts={f"rejected_{rejection.code}": 1})


def _done(wanted: Wanted, brought: Brought) -> Done:
    asset = brought.asset
    if asset.rejection:
        return _rejected(wanted.source.name, asset.rejection)
    if brought.outcome is Outcome.DUPLICATE:
        return Done(done=1, counts={"duplicates": 1, "bytes_saved": asset.size_bytes})
    own = [one for one in asset.renditions.values() if one.key.startswith(asset.key.renditions)]
    return Done(
        done=1,
        counts={
            "new": 1,
            "bytes_stored": asset.size_bytes + sum(one.size_bytes for one in own),
            "renditions": len(own),
            "near_duplicates": int(asset.near_duplicate is not None),
            "referenced": int(bool(wanted.told.references)),
        },
    )


# --- Planning ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _At:
    """Where a step begins: after a key of the listing, or at a place of the manifest.

    `counted` objects come before it.  A `stride` above 0 samples every `stride`-th object.
    """

    after: str = ""
    place: Place = _BEGINNING
    etag: str | None = None
    counted: int = 0
    stride: int = 0

    @property
    def text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def of(cls, position: str) -> _At:
        facts: dict[str, Any] = json.loads(position or "{}")
        place = facts.pop("place", {})
        return cls(place=Place(**{**place, "columns": tuple(place.get("columns", ()))}), **facts)


@dataclass(frozen=True, slots=True)
class ImportSteps:
    """Plans imports: a step lists up to OBJECTS_PER_STEP objects.

    A step begins after the last key of the previous step, not at a token of the listing: a token is valid for
    one listing, and a job may pause for weeks.
    """

    sources: Sources

    def step(self, job: Job, position: str) -> Step:
        """Raises ImportFailedError where bucket or manifest cannot be read."""
        if job.tenant is None:
            raise ValueError("an import is into one tenant")
        options, at = ImportOptions.of(job.options), _At.of(position)
        subjects, then = self._listed(options, at) if options.manifest is None else self._read(options, at)
        counted, phase, images = at.counted + len(subjects), IMPORT, len(subjects)
        if at.stride:
            phase, images = SAMPLE, 0  # the steps of the listing counted them
            subjects = [*filter(_worth_reading, subjects[-at.counted % at.stride :: at.stride])]
        elif then is None and job.dry_run and options.sample and counted:
            then, counted = _At(etag=at.etag, stride=-(-counted // options.sample)), 0
        works = [Work(job.tenant, phase, None, part) for part in parts(subjects)]
        return Step(works, images, replace(then, counted=counted).text if then else None)

    def _listed(self, options: ImportOptions, at: _At) -> tuple[list[Subject], _At | None]:
        """The objects after `at`, and where the next step begins; None after the last step."""
        subjects, token, after, room = list[Subject](), None, at.after, BYTES_PER_STEP
        for pages in count(1):
            page = self.sources.page(options.bucket, options.prefix, after=at.after, token=token)
            subjects += [one for one in page.objects if not is_folder(one.key)]
            token, after = page.next, page.objects[-1].key if page.objects else after
            if token is None:
                return subjects, None
            room -= sum(len(one.key) for one in page.objects)
            full = room < 0 or pages >= PAGES_PER_STEP or len(subjects) >= OBJECTS_PER_STEP
            if full and after != at.after:
                break
        return subjects, replace(at, after=after)

    def _read(self, options: ImportOptions, at: _At) -> tuple[list[Subject], _At | None]:
        assert options.manifest is not None, "looked at by the caller"  # noqa: S101
        manifest = self.sources.manifest(options.manifest.bucket, options.manifest.key, etag=at.etag)
        subjects, room = list[Subject](), BYTES_PER_STEP
        for entry in entries(manifest.block, at.place, options):
            subjects.append(entry.subject)
            room -= len(entry.subject.text)
            if room < 0 or len(subjects) == OBJECTS_PER_STEP:
                return subjects, replace(at, place=entry.then, etag=manifest.etag)
        return subjects, None
