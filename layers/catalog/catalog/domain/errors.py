"""Errors a caller can act on: each carries its kind, a stable code and a message."""

from datetime import timedelta
from enum import Enum, auto
from typing import Final

# API Gateway waits for 29 s; an item of a batch that was begun has the rest.
BATCH_WORKS_FOR: Final = timedelta(seconds=20)


class Kind(Enum):
    """What an error is to a caller.  Each kind is one status of HTTP; `catalog.api.http` knows which."""

    INVALID = auto()  # the request cannot be understood
    FORBIDDEN = auto()  # the caller lacks the right
    NOT_FOUND = auto()
    CONFLICT = auto()  # the current state does not allow it
    TOO_LARGE = auto()
    TOO_MANY = auto()  # the caller may ask again later
    UNSUPPORTED_TYPE = auto()  # the declared content type is not accepted
    UNUSABLE_IMAGE = auto()  # the bytes sent are no image that can be used
    OUT_OF_TIME = auto()


class CallerError(Exception):
    """An error that is answered to the caller.

    `code` is part of the API.  `message` is for people; a class without one takes what it is raised with.
    """

    kind: Kind
    code: str
    message: str = ""

    def __init__(self, *facts: object) -> None:
        super().__init__(*facts)
        self.message = self.message or str(self)


class OutOfTimeError(CallerError):
    """A batch has spent its time before this item's turn; nothing was done about it."""

    kind = Kind.OUT_OF_TIME
    code = "timeout"
    message = "the answer took too long, try again"


class TooManyError(CallerError):
    """The caller may ask again in `retry_after` seconds."""

    kind = Kind.TOO_MANY

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after
