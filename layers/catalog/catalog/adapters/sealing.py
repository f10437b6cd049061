"""Secrets at rest: sealed by a KMS key, and opened only by the function that signs with them."""

from catalog.adapters.sdk import client
from catalog.domain.keys import TenantId

_MOST_OPENED: int = 1_000


class Sealing:
    """A symmetric KMS key.  What is sealed for one tenant cannot be opened as another's."""

    def __init__(self, key_id: str) -> None:
        self._key_id = key_id
        self._opened: dict[tuple[TenantId, bytes], bytes] = {}

    def seal(self, secret: bytes, tenant: TenantId) -> bytes:
        """A secret of at most 4,096 bytes."""
        answer = client("kms").encrypt(
            KeyId=self._key_id, Plaintext=secret, EncryptionContext={"tenant": tenant}
        )
        sealed: bytes = answer["CiphertextBlob"]
        return sealed

    def open(self, sealed: bytes, tenant: TenantId) -> bytes:
        """The secret; KMS is asked once a process ($0.03 for 10,000 calls)."""
        known = self._opened.get((tenant, sealed))
        if known is not None:
            return known
        answer = client("kms").decrypt(
            KeyId=self._key_id, CiphertextBlob=sealed, EncryptionContext={"tenant": tenant}
        )
        if len(self._opened) >= _MOST_OPENED:
            self._opened.clear()
        opened: bytes = answer["Plaintext"]
        self._opened[tenant, sealed] = opened
        return opened
