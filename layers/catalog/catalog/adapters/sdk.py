"""SDK clients, one a service and process, made on first use.

botocore and not boto3: the same clients for 60-100 CPU-ms less of every cold start (docs/decisions.md).
"""

import gc
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

# Objects made by these imports are never freed.  Searching them for garbage takes a tenth of an API
# function's cold start (docs/decisions.md).
gc.disable()
import botocore.session  # noqa: E402
from botocore.config import Config  # noqa: E402

gc.freeze()
gc.enable()

# Three attempts with jittered backoff stay within a few seconds; what still fails is retried by the queue.
# S3: the regional, virtual-hosted address, since a presigned URL to the global one is redirected in a new
# bucket's first hours, which breaks a browser's signed PUT.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=20,
    signature_version="v4",
)
_CONFIGS: Final[Mapping[str, Config]] = {
    "s3": _CONFIG.merge(Config(signature_version="s3v4", s3={"addressing_style": "virtual"})),
    # PynamoDB makes requests of the right shape; a lookup of near-duplicates sends 16 of them at once.
    "dynamodb": _CONFIG.merge(Config(read_timeout=10, parameter_validation=False, max_pool_connections=16)),
}


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def client(service: str) -> Any:
    """The client of `service` ("s3", "sqs"); region, credentials and endpoint are the SDK's own to find."""
    return _session().create_client(service, config=_CONFIGS.get(service, _CONFIG))
