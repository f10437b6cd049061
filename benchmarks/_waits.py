"""What Lambda bills a job's worker: its processor time, and what it waits for S3 and DynamoDB on AWS.

The emulator answers within milliseconds, on the same cores.  So a trace of every subject has the processor
time between its calls, and a model adds the waits; another plays how subjects taken side by side share the
one core of a function.  Memory is billed for all of that time.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import cycle, islice
from threading import Lock
from typing import Any, Final

import botocore.client

from catalog.domain.jobs import Done, Job, Work, Worker

# Seconds.  S3 says "roughly 100-200 milliseconds" for small objects (docs.aws.amazon.com/AmazonS3/latest/
# userguide/optimizing-performance.html), DynamoDB "single-digit millisecond".
S3, DYNAMODB = 0.100, 0.010
WAITS: Final[Mapping[str, float]] = {"s3": S3, "dynamodb": DYNAMODB}
VCPU_GB: Final = 1769 / 1024  # the memory with which Lambda gives one whole vCPU


@dataclass(frozen=True, slots=True)
class Stretch:
    """Processor seconds, then a wait for one call, or for several calls at once."""

    processor: float
    waits: float = 0.0


@dataclass
class Trace:
    """The stretches of each subject, in order; and the time between subjects, which they do not share."""

    subjects: list[list[Stretch]] = field(default_factory=list)
    between: list[Stretch] = field(default_factory=list)

    def billed(self, *, most: int) -> float:
        """Seconds for which Lambda bills a worker that takes so many subjects at once."""
        alone = sum(each.processor + each.waits for each in self.between)
        return alone + played(self.subjects, most=most)

    def of_a_part(self, subjects: int, *, most: int) -> float:
        """Billed seconds a subject, in a part of so many like these; the trace is of one part."""
        alike = list(islice(cycle(self.subjects), subjects))
        return Trace(alike, self.between).billed(most=most) / subjects

    @property
    def processor(self) -> float:
        return sum(one.processor for some in (*self.subjects, self.between) for one in some)


def played(subjects: Sequence[Sequence[Stretch]], *, most: int) -> float:
    """Seconds until all are done, `most` at once on one core; a subject begins once the oldest is done.

    As catalog.use_cases.job_parts takes them.
    """
    waiting = deque(enumerate(subjects))
    ready: list[tuple[float, int, int]] = []
    ended: dict[int, float] = {}
    core, now, oldest = 0.0, 0.0, 0

    def begin(at: float) -> None:
        if waiting:
            heappush(ready, (at, waiting.popleft()[0], 0))

    for _ in range(most):
        begin(0.0)
    while ready:
        at, subject, number = heappop(ready)
        stretch = subjects[subject][number]
        core = max(core, at) + stretch.processor
        if number + 1 < len(subjects[subject]):
            heappush(ready, (core + stretch.waits, subject, number + 1))
            continue
        ended[subject] = core + stretch.waits
        while oldest in ended:
            now, oldest = max(now, ended[oldest]), oldest + 1
            begin(now)
    return now


@dataclass
class Traced[S]:
    """A worker, and the trace of what it does, one subject at a time."""

    worker: Worker[S]
    trace: Trace = field(default_factory=Trace)
    _into: list[Stretch] | None = None
    _since: float = 0.0
    _under_way: int = 0
    _longest: float = 0.0
    _lock: Any = field(default_factory=Lock)

    def subjects(self, job: Job, work: Work, *, after: str | None) -> Iterator[tuple[str, S]]:
        return self.worker.subjects(job, work, after=after)

    def take(self, job: Job, work: Work, subject: S) -> Done:
        self._stretch(0.0)
        self._into = []
        done = self.worker.take(job, work, subject)
        self._stretch(0.0)
        self.trace.subjects.append(self._into)
        self._into = None
        return done

    def _stretch(self, waits: float) -> None:
        now = time.process_time()
        into = self.trace.between if self._into is None else self._into
        into.append(Stretch(now - self._since, waits))
        self._since = now

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Follow the process's AWS calls; calls of several threads at once wait together."""
        make = botocore.client.BaseClient._make_api_call

        def watched(client: Any, operation: str, asked: Any) -> Any:
            with self._lock:
                self._under_way += 1
                self._longest = max(self._longest, WAITS[client.meta.service_model.service_name])
            try:
                return make(client, operation, asked)
            finally:
                with self._lock:
                    self._under_way -= 1
                    if not self._under_way:
                        self._stretch(self._longest)
                        self._longest = 0.0

        botocore.client.BaseClient._make_api_call = watched  # type: ignore[method-assign]
        self._since = time.process_time()
        try:
            yield
        finally:
            botocore.client.BaseClient._make_api_call = make  # type: ignore[method-assign]
            self._stretch(0.0)
