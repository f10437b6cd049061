"""Signatures by a KMS key that nobody can read, not even this code."""

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client

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
