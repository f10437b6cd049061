"""Jobs: work over a whole catalog, cut into parts that workers carry out side by side.

A job goes through steps.  A step is a list of parts; each part is a line of the state machine's map and is
carried out by one worker.  A part may be carried out again by another worker: what it has reported is not
done twice, and everything else is harmless when repeated.
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
# A range of ids this large takes a worker the two minutes that it has, at 0.3 s an image.  Smaller ones cost
# more than what they find nothing to do for: a million images in 65,536 parts $2, in 4,096 $0.13.
IMAGES_PER_PART: Final = 400
_FEW_RANGES: Final = 256  # a cent for their workers, reports and transitions
_FEW_IMAGES: Final = 100
_MOST_DIGITS: Final = 5  # 1,048,576 ranges: 95 images each of 10^8
_HEX: Final = 16


class JobNotFoundError(CallerError):
    """There is no such job."""

    kind = ErrorKind.NOT_FOUND
    code = "job_not_found"
    message = "there is no such job"


class JobStateError(CallerError):
    """The job's state does not allow it, or not any more."""

    kind = ErrorKind.CONFLICT
    code = "job_state"
    message = "this job is not in a state that allows it"


class JobAlreadyConfirmedError(CallerError):
    """The token has done its work; using it again starts nothing."""

    kind = ErrorKind.CONFLICT
    code = "confirm_token_used"
    message = "confirm_token was used; GET /v1/jobs tells what became of the job"


class PartClaimedError(Exception):
    """Another worker has begun the part since, or has completed it; or it is not to be begun."""


class ExecutionNotStartedError(Exception):
    """The state machine did not take the job; the sweeper tries again."""


class JobFailedError(Exception):
    """A kind cannot plan its job any further; the message says why, to whoever asked for it."""


class JobMovedError(Exception):
    """The job's record is not any more as it was read."""


class JobKind(StrEnum):
    """What a job does; the value is that of the API."""

    REBUILD = "rebuild"
    IMPORT = "import"
    FIND_DUPLICATES = "find-duplicates"
    RECOUNT = "recount"
    ERASE = "erase"


class JobState(StrEnum):
    """`running -> completed` or `failed`; `pausing -> paused -> running`; `cancelling -> cancelled`.

    A job that is pausing or cancelling begins no part, and completes those that were begun.
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
    """A subject that could not be dealt with.  `subject` is an image's id, or the key of an object."""

    subject: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What was done, in images, and what it came to: `counts` by a name of the kind's own."""

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

    `within` is a prefix of ids in hex, which may be empty; None: `subjects` says it all.
    """

    tenant: TenantId
    phase: str
    within: str | None = None
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedWork:
    """A failure, and the tenant and phase of the work that it was part of."""

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
    """The parts to carry out now, and where the step after it begins: None where this is the last.

    `images` are those it is expected to look at.  `wait_until`: nothing is to be done before; the parts are
    carried out then.
    """

    works: Iterable[Work]
    images: int
    next: str | None
    wait_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """How far a part has come.

    `after` is the last subject that was reported.  `attempts` counts the workers that began it since the last
    report.  `in_hand` is the subject that a careful worker is at, `held` the workers that it had in a row;
    `suspect` is one that raised `faults` in a row.  `worker` is who began it last; only that one reports.
    `revision` grows with every write.
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

    `cut`: its parts are written down, `parts` of them, in the jobs bucket's `file`, and `next` is where the
    step after it begins.  `waiting_until`: it is not to be cut before.
    `round` counts the rounds of this execution that were planned.  `reports` counts those of all workers,
    `seen` says how many there were at the last round, and `idle` counts the rounds since there was one.
    `restarts` counts the executions that the sweeper started since then.
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
    """One job.  `tenant` is None where it is about all of them; `options` are those of its kind, as in JSON.

    `position` is where its present step begins, None behind the last; `step` counts steps; `attempt` counts
    the executions of the state machine.  `expected` are the images of the steps planned so far.
    `active_seconds` is the time it was carried out until `active_since`, which is None while it rests or
    waits.  `report` is what its kind has to say at the end.  `turn` grows with every write but reports'.
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
        """Nothing happens to it unless somebody asks."""
        return self.state not in ACTIVE

    @property
    def digest(self) -> str:
        """SHA-256 over what was asked for and what was found."""
        tally = [self.tally.done, self.tally.skipped, self.tally.failed, dict(self.tally.counts)]
        told = [self.kind, self.tenant, dict(self.options), *tally]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def rate(self, now: datetime) -> float | None:
        """Images a second while it was carried out; None where it was not."""
        running = (now - self.active_since).total_seconds() if self.active_since else 0.0
        seconds = self.active_seconds + max(0.0, running)
        return self.tally.images / seconds if seconds and self.tally.images else None


class Worker[S](Protocol):
    """Carries out the parts of one kind."""

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, S]]:
        """The part's subjects by name, in a fixed order, from the one behind `after` on."""

    def take(self, job: Job, work: Work, subject: S) -> Done:
        """Deal with one; in a dry run, tell what would become of it, and write nothing.

        Repeating it is harmless.  What is wrong with the subject is a failure; a fault is raised, and the
        part is carried out again.
        """


class Steps(Protocol):
    """Plans the jobs of one kind."""

    def step(self, job: Job, position: str) -> Step:
        """The step that begins at `position`, "" at first.  The same position gives the same parts."""


def digits_for(images: int, *, per_part: int = IMAGES_PER_PART) -> int:
    """Hex digits that cut this many images into ranges of at most `per_part` on average.

    Smaller ones where these cost nothing to speak of: so that workers have enough to share.
    """

    def is_too_coarse(ranges: int) -> bool:
        shared_better = ranges * _HEX <= _FEW_RANGES and images > _FEW_IMAGES * ranges
        return images > per_part * ranges or shared_better

    return next(d for d in range(_MOST_DIGITS + 1) if d == _MOST_DIGITS or not is_too_coarse(_HEX**d))


def ranges(digits: int) -> Iterator[str]:
    """All prefixes of so many hex digits, in order: ids are hashes, so each has as many images."""
    return (f"{number:0{digits}x}" if digits else "" for number in range(_HEX**digits))
