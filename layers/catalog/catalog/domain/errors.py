"""Errors a caller can act on: each carries its kind, a stable code and a message."""

from enum import Enum, auto


class Kind(Enum):
    """What an error is to a caller.  Each kind is one status of HTTP; `catalog.api.http` knows which."""

    INVALID = auto()  # the request cannot be understood
    FORBIDDEN = auto()  # this caller may not
    NOT_FOUND = auto()
    CONFLICT = auto()  # the state of a thing does not allow it now
    TOO_LARGE = auto()
    TOO_MANY = auto()  # later, it may
    UNSUPPORTED_TYPE = auto()  # the request is understood, and declares a type of bytes that is not taken
    UNUSABLE_IMAGE = auto()  # the request is understood, and its bytes are no image that can be used


class CallerError(Exception):
    """An error that is answered to the caller.

    `code` is part of the API.  `message` is for people; a class without one is raised with its message.
    """

    kind: Kind
    code: str
    message: str = ""

    def __init__(self, *facts: object) -> None:
        super().__init__(*facts)
        self.message = self.message or str(self)


class TooManyError(CallerError):
    """The caller may ask again in `retry_after` seconds."""

    kind = Kind.TOO_MANY

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after
