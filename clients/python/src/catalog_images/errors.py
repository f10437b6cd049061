"""What a call may raise; every error is a CatalogError."""

from collections.abc import Sequence

from catalog_images.contract import FaultOfARequest


class CatalogError(Exception):
    """A call failed."""


class ApiError(CatalogError):
    """The API answered with an error.

    `code` is its stable name; `faults` says what is wrong, by field; `retry_after` is in seconds.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        request_id: str | None = None,
        faults: Sequence[FaultOfARequest] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.faults = tuple(faults)
        self.retry_after = retry_after


class TokenRefusedError(ApiError):
    """The token endpoint refuses these credentials or scopes."""


class UploadRefusedError(ApiError):
    """S3 refused the PUT: other bytes, length or type than announced, or an expired URL."""


class UnreachableError(CatalogError):
    """No answer, after all retries."""


class NotFinishedError(CatalogError):
    """The image was not `ready` or `rejected` in time."""

    def __init__(self, image_id: str, status: str, seconds: float) -> None:
        super().__init__(f"{image_id} is still {status} after {seconds:.0f} s")
        self.id = image_id
        self.status = status


class JobNotEndedError(CatalogError):
    """The job did not end in time."""


class ClientClosedError(CatalogError):
    """The client was closed while this call waited."""


class FileChangedError(CatalogError):
    """A file changed between its announcement and its PUT; announce it again."""


class ProfileError(CatalogError):
    """The address or the credentials are missing, or their file cannot be read."""
