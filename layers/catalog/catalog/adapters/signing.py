"""Signatures by KMS keys that nobody can read, not even this code."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from botocore.exceptions import ClientError

from catalog.adapters.remembered import Remembered
from catalog.adapters.sdk import client
from catalog.domain.assets import ADDRESSES_LAST
from catalog.domain.keys import TenantId
from catalog.domain.viewing import Pass, policy_for

_ALGORITHM = "HMAC_SHA_256"


class Signer:
    """An HMAC-SHA-256 key in KMS."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id

    def sign(self, statement: bytes) -> bytes:
        """The 32-byte HMAC of a statement of at most 4,096 bytes."""
        answer = client("kms").generate_mac(KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=statement)
        mac: bytes = answer["Mac"]
        return mac

    def verifies(self, statement: bytes, signature: bytes) -> bool:
        """Whether this key signed exactly this statement.  KMS compares, in constant time."""
        try:
            client("kms").verify_mac(
                KeyId=self._key_id, MacAlgorithm=_ALGORITHM, Message=statement, Mac=signature
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "KMSInvalidMacException":
                return False
            raise
        return True


class Viewers:
    """Passes for the viewers of the CDN at `cdn`, by an ECC_NIST_P256 key in KMS.

    One signature a minute a tenant: it holds for all renditions, so a page of 100 images costs no more.
    """

    def __init__(
        self, key_id: str, *, key_pair: str, cdn: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._key_id = key_id
        self._key_pair = key_pair
        self._cdn = cdn
        self._passes = Remembered(self._sign, monotonic=monotonic)

    def pass_for(self, tenant: TenantId) -> Pass:
        """Valid for ADDRESSES_LAST, less a minute at most."""
        return self._passes(tenant)

    def _sign(self, tenant: TenantId) -> Pass:
        until = datetime.now(UTC) + ADDRESSES_LAST
        policy = policy_for(tenant, self._cdn, until)
        answer = client("kms").sign(
            KeyId=self._key_id, Message=policy, MessageType="RAW", SigningAlgorithm="ECDSA_SHA_256"
        )
        return Pass(policy, answer["Signature"], self._key_pair, until)
