"""SDK clients, one a service and process, made on first use.

botocore and not boto3: the same clients for 60-100 CPU-ms less of every cold start (docs/decisions.md).
"""

import gc
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any, Final

# Objects made by these imports are never freed.  Searching them for garbage takes a tenth of an API
# function's cold start (docs/decisions.md).
gc.disable()
import botocore.session  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

gc.freeze()
gc.enable()

# S3: the regional, virtual-hosted address, since a presigned URL to the global one is redirected in a new
# bucket's first hours, which breaks a browser's signed PUT.
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=20,
    signature_version="v4",
)
_CONFIGS: Final[Mapping[str, Config]] = {
    # A worker of a job takes up to 16 images at once.
    "s3": _CONFIG.merge(
        Config(signature_version="s3v4", s3={"addressing_style": "virtual"}, max_pool_connections=16)
    ),
    # PynamoDB makes requests of the right shape; a lookup of near-duplicates sends ten of them at once, an
    # import's worker those of eight images.
    "dynamodb": _CONFIG.merge(Config(read_timeout=10, parameter_validation=False, max_pool_connections=80)),
}
_ATTEMPTS: Final = 3
_CREATING: Final = Lock()  # a session of botocore makes one client at a time
# As botocore knows them, and those of a cancelled transaction.
_THROTTLES: Final = frozenset(
    {
        *("Throttling", "ThrottlingException", "ThrottledException", "RequestThrottledException"),
        *("RequestThrottled", "ProvisionedThroughputExceededException", "RequestLimitExceeded", "SlowDown"),
        *("TooManyRequestsException", "ThrottlingError", "ProvisionedThroughputExceeded"),
        *("TransactionConflict", "TransactionConflictException"),  # too many write one item
        "503",  # of S3 where the answer has no body
    }
)


def is_throttle(fault: BaseException | None) -> bool:
    """Whether AWS asked to slow down; PynamoDB raises errors of its own from those of botocore."""
    while fault is not None:
        if isinstance(fault, ClientError):
            reasons = fault.response.get("CancellationReasons", [])
            codes = {fault.response["Error"]["Code"], *(reason.get("Code") for reason in reasons)}
            return not _THROTTLES.isdisjoint(codes)
        fault = getattr(fault, "cause", None) or fault.__cause__
    return False


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """The client of `service` ("s3", "sqs"); region, credentials and endpoint are the SDK's own to find."""
    with _CREATING:
        return _session().create_client(service, config=_CONFIGS.get(service, _CONFIG).merge(_retries()))


def _retries() -> Config:
    """Three attempts with jittered backoff stay within seconds; what still fails is retried by the queue.

    The template gives workers of jobs, for which nobody waits, "adaptive" and 5: once throttled, a client
    also sends less.  Five attempts wait 15 s at most, so a worker's last minute has room for four such calls.
    """
    mode: Any = _session().get_config_variable("retry_mode")
    attempts = _session().get_config_variable("max_attempts") or _ATTEMPTS
    return Config(retries={"mode": "standard" if mode == "legacy" else mode, "total_max_attempts": attempts})
