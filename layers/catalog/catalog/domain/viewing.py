"""Who may see renditions where the CDN asks for a signature: what it takes, and for how long."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from catalog.domain.keys import RENDITIONS_PREFIX, TenantId

# CloudFront's own alphabet, so that neither a URL nor a cookie needs escapes.
_IN_URLS: Final = bytes.maketrans(b"+=/", b"-_~")


def policy_for(tenant: TenantId, cdn: str, until: datetime) -> bytes:
    """CloudFront's custom policy for every rendition of a tenant.  `cdn` ends in no slash.

    Only its end is open: a `*` further ahead would also match `/another/tenants?/acme/`.
    """
    condition = {"DateLessThan": {"AWS:EpochTime": int(until.timestamp())}}
    statement = {"Resource": f"{cdn}/{RENDITIONS_PREFIX}{tenant}/*", "Condition": condition}
    return json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Pass:
    """Shows a tenant's renditions to whoever has it.  `key_pair` is CloudFront's id of the public key."""

    policy: bytes
    signature: bytes = field(repr=False)
    key_pair: str
    expires_at: datetime

    @property
    def query(self) -> str:
        """Behind a URL and a question mark."""
        return "&".join(f"{name}={value}" for name, value in self._parts.items())

    @property
    def cookies(self) -> Mapping[str, str]:
        """For the domain that page and CDN share."""
        return {f"CloudFront-{name}": value for name, value in self._parts.items()}

    @property
    def _parts(self) -> Mapping[str, str]:
        return {
            "Policy": _encoded(self.policy),
            "Signature": _encoded(self.signature),
            "Key-Pair-Id": self.key_pair,
            "Hash-Algorithm": "SHA256",
        }


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).translate(_IN_URLS).decode()
