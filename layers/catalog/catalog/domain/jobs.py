"""Jobs: work over a whole catalog, cut into parts that workers carry out side by side.

A job goes through steps.  A step is a list of parts.  Each part is a line of the state machine's map, and one
worker carries it out.  Another worker may carry it out again: it skips what was reported, and repeating the
rest is harmless.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol, Self

from catalog.domain.errors import CallerError
from catalog.domain.errors import Kind as ErrorKind
from catalog.domain.keys import TenantId

JOBS_KEPT_FOR: Final = timedelta(days=400)
# At 0.3 s per image, a worker needs its two minutes for a range this large.  Smaller ranges cost more even if
# they find nothing to do: a million images cost $2 in 65,536 parts, $0.13 in 4,096.
IMAGES_PER_PART: Final = 400
# So many images in each of so few ranges are cut further: workers share them better, and 256 ranges cost a
# cent.  A worker rebuilds 640 images in two minutes.
_FEW_IMAGES: Final = {1: 100, 16: 640}
# A look at a part costs $30 a million and 0.2 s of waiting, so parts of a small catalog have at most so many
# images in several ranges: 1,000 images are four parts.
_LOOKED_AT: Final = 250
_MOST_DIGITS: Final = 5  # 1,048,576 ranges: with 10^8 images 95 each
_HEX: Final = 16


class JobNotFoundError(CallerError):
    """There is no such job."""

    kind = ErrorKind.NOT_FOUND
    code = "job_not_found"
    message = "there is no such job"


class JobStateError(CallerError):
    """The job's state does not allow the request, or no longer does."""

    kind = ErrorKind.CONFLICT
    code = "job_state"
    message = "this job is not in a state that allows it"


class JobAlreadyConfirmedError(CallerError):
    """The token has done its work; using it again starts nothing."""

    kind = ErrorKind.CONFLICT
    code = "confirm_token_used"
    message = "confirm_token was used; GET /v1/jobs tells what became of the job"


class IdempotencyKeyUsedError(CallerError):
    """The key came with another request before."""

    kind = ErrorKind.CONFLICT
    code = "idempotency_key_used"
    message = "this Idempotency-Key came with another request before; send a new key with a new request"


class PartClaimedError(Exception):
    """Another worker has taken over or completed the part, or its job begins no new part."""


class ExecutionNotStartedError(Exception):
    """The state machine did not take the job; the sweeper tries again."""


class JobFailedError(Exception):
    """A kind cannot plan its job any further; the job's reason shows the message."""


class JobMovedError(Exception):
    """The job's record has changed since it was read."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A caller's name for one request, which may come several times.

    `digest` stands for the caller's tenant and its key, `request` for what is asked: SHA-256 in hex.
    """

    digest: str
    request: str

    @classmethod
    def of(cls, tenant: TenantId, key: str, body: Mapping[str, Any]) -> Self:
        """`body` is the request's JSON; the order of its fields makes no difference."""
        texts = (json.dumps([tenant, key]), json.dumps(body, sort_keys=True))
        return cls(*(hashlib.sha256(text.encode()).hexdigest() for text in texts))


class JobKind(StrEnum):
    """What a job does; the value is that of the API."""

    REBUILD = "rebuild"
    IMPORT = "import"
    FIND_DUPLICATES = "find-duplicates"
    RECOUNT = "recount"
    ERASE = "erase"


class JobState(StrEnum):
    """`running -> completed` or `failed`; `pausing -> paused -> running`; `cancelling -> cancelled`.

    A job that is pausing or cancelling begins no new part, and completes the parts that were begun.
    """

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"


# An execution of the state machine works on these, or should.
ACTIVE: Final = frozenset({JobState.RUNNING, JobState.PAUSING, JobState.CANCELLING})


@dataclass(frozen=True, slots=True)
class Failure:
    """A subject that a worker could not deal with.  `subject` is its name: an image's id, an object's key."""

    subject: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of images done, skipped and failed; `counts` has the kind's own numbers by name."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Self) -> "Tally":
        names = {*self.counts, *other.counts}
        return Tally(
            self.done + other.done,
            self.skipped + other.skipped,
            self.failed + other.failed,
            {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in sorted(names)},
        )

    @property
    def images(self) -> int:
        return self.done + self.skipped + self.failed


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one subject."""

    done: int = 0
    skipped: int = 0
    failures: tuple[Failure, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Self) -> "Done":
        tally = self.tally + other.tally
        return Done(tally.done, tally.skipped, (*self.failures, *other.failures), tally.counts)

    @property
    def tally(self) -> Tally:
        return Tally(self.done, self.skipped, len(self.failures), self.counts)


@dataclass(frozen=True, slots=True)
class Work:
    """What a part asks of its worker: a phase of the job, over a range of ids or over named subjects.

    `within` is a prefix of ids in hex, which may be empty, or "0-3" for those from the first to the last;
    None: `subjects` names all subjects.
    """

    tenant: TenantId
    phase: str
    within: str | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedWork:
    """A failure, with the tenant and phase of its work."""

    failure: Failure
    tenant: TenantId
    phase: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the map's input: a part of a job.  `part` is unique in the job."""

    job: str
    kind: JobKind
    part: str
    work: Work

    def text(self) -> str:
        """As JSON, without a line break."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, line: Mapping[str, Any]) -> Self:
        work = line["work"]
        return cls(
            line["job"],
            JobKind(line["kind"]),
            line["part"],
            Work(TenantId(work["tenant"]), work["phase"], work["within"], tuple(work["subjects"])),
        )


@dataclass(frozen=True, slots=True)
class Step:
    """The parts to carry out now.  `next` is where the next step begins; None after the last step.

    `images` is the number it is expected to look at.  Workers begin at `wait_until`; None: at once.
    """

    works: Iterable[Work]
    images: int
    next: str | None
    wait_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """How far a part has come.

    `after` is the last reported subject.  `attempts` counts the workers that began the part since the last
    report.  `in_hand` is the subject that a careful worker is at; `held` counts the workers in a row that had
    it.  `suspect` is the subject that raised `faults` faults in a row.  `worker` began the part last; only
    that worker reports.  `revision` grows with every write.
    """

    id: str
    attempts: int
    worker: str = ""
    after: str | None = None
    in_hand: str | None = None
    held: int = 0
    suspect: str | None = None
    faults: int = 0
    completed: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """How far the planner is with the present step.

    `cut` means that its `parts` parts are written to `file` in the jobs bucket; `next` is then where the next
    step begins.  Until `waiting_until` the step is not cut.
    `round` counts the planned rounds of this execution.  `reports` counts the reports of all workers, and
    `seen` is that count at the last round.  `idle` counts the rounds since the last report, and `restarts`
    the executions that the sweeper has started since then.
    """

    cut: bool = False
    parts: int = 0
    file: str | None = None
    next: str | None = None
    waiting_until: datetime | None = None
    round: int = 0
    reports: int = 0
    seen: int = 0
    idle: int = 0
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One job.  `tenant` None: about all tenants.  `options` are the options of its kind, as in JSON.

    `position` is where its present step begins, None after the last; `step` counts steps; `attempt` counts
    executions of the state machine.  `expected` is the number of images in the steps planned so far.
    `active_seconds` is the time it was active before `active_since`, which is None while the job rests or
    waits.  `report` is its kind's report at the end.  `turn` grows with every write but workers' reports.
    Times are aware UTC.
    """

    id: str
    kind: JobKind
    tenant: TenantId | None
    dry_run: bool
    options: Mapping[str, Any]
    state: JobState
    requested_by: str
    created_at: datetime
    concurrency: int
    position: str | None = ""
    step: int = 0
    attempt: int = 1
    expected: int = 0
    tally: Tally = Tally()
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    retry_of: str | None = None
    stage: Stage = Stage()
    active_since: datetime | None = None
    active_seconds: float = 0.0
    report: Mapping[str, Any] | None = None
    turn: int = 0

    @property
    def is_at_rest(self) -> bool:
        """Whether the job stays as it is until a request changes it."""
        return self.state not in ACTIVE

    @property
    def digest(self) -> str:
        """SHA-256 over the request and the tally, as hex digits."""
        tally = [self.tally.done, self.tally.skipped, self.tally.failed, dict(self.tally.counts)]
        told = [self.kind, self.tenant, dict(self.options), *tally]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def rate(self, now: datetime) -> float | None:
        """Images per second of active time; None before the first image."""
        running = (now - self.active_since).total_seconds() if self.active_since else 0.0
        seconds = self.active_seconds + max(0.0, running)
        return self.tally.images / seconds if seconds and self.tally.images else None


class Worker[S](Protocol):
    """Carries out the parts of one kind."""

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, S]]:
        """The part's subjects, each with its name, in a fixed order: those after `after`, or all."""

    def take(self, job: Job, work: Work, subject: S) -> Done:
        """Deal with one subject; in a dry run, return what would become of it, and write nothing.

        Repeating it is harmless.  Returns a failure if the subject is bad; raises a fault otherwise, and the
        part is carried out again.
        """


class Steps(Protocol):
    """Plans the jobs of one kind."""

    def step(self, job: Job, position: str) -> Step:
        """The step that begins at `position`; "" is the first.  The same position gives the same parts."""


def digits_for(images: int, *, per_part: int = IMAGES_PER_PART) -> int:
    """The number of hex digits that cut `images` into ranges of at most `per_part` images on average, and of
    fewer where there are few."""

    def is_too_coarse(ranges: int) -> bool:
        return images > min(per_part, _FEW_IMAGES.get(ranges, per_part)) * ranges

    return next(d for d in range(_MOST_DIGITS + 1) if d == _MOST_DIGITS or not is_too_coarse(_HEX**d))


def ends(within: str) -> tuple[str, str]:
    """The first and the last prefix of a part's `within`."""
    first, _, last = within.partition("-")
    return first, last or first


def ranges_of_a_part(images: int, digits: int) -> int:
    """How many ranges a part has for which looking costs more than its images."""
    few = [number for number in (4, 2) if number * images <= _LOOKED_AT * _HEX**digits]
    return few[0] if digits == 1 and few else 1


def ranges(digits: int) -> Iterator[str]:
    """All prefixes of `digits` hex digits, in order.  Ids are hashes, so ranges are about equally large."""
    return (f"{number:0{digits}x}" if digits else "" for number in range(_HEX**digits))
