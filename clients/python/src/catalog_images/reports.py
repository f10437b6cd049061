"""What a run of `sync` did, file by file."""

from dataclasses import dataclass
from enum import StrEnum


class End(StrEnum):
    """What became of a file."""

    READY = "ready"
    REJECTED = "rejected"  # by the pipeline, for its content
    SKIPPED = "skipped"  # no image, by its first bytes
    FAILED = "failed"  # could not be read, announced or sent, or was not finished in time
    SENT = "sent"  # and not waited for
    UNFINISHED = "unfinished"  # sent by an earlier run, and not waited for


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file; `file` is its path below the folder, `sent` whether its bytes went out.

    `references` are those that its path names.
    """

    file: str
    end: End
    id: str | None = None
    sent: bool = False
    size_bytes: int = 0
    code: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Every outcome by file, and how long the run took."""

    outcomes: tuple[Outcome, ...]
    seconds: float
    interrupted: bool

    def of(self, end: End) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.end is end]

    @property
    def sent(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.sent]

    @property
    def known(self) -> list[Outcome]:
        """Files whose bytes the catalog had."""
        return [outcome for outcome in self.outcomes if outcome.id is not None and not outcome.sent]

    @property
    def is_whole(self) -> bool:
        """Every file came as far as it was to come."""
        return not self.interrupted and not self.of(End.REJECTED) and not self.of(End.FAILED)
