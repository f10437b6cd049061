"""Where access tokens are kept: a token costs more than an upload, so it serves for its whole hour."""

import json
import os
import tempfile
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from catalog_images.models import Credentials

_MARGIN_SECONDS: Final = 60.0  # a token this close to its expiry is not used


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; `expires_at` in seconds of the epoch."""

    text: str
    expires_at: float

    @property
    def is_good(self) -> bool:
        return time.time() < self.expires_at - _MARGIN_SECONDS


class TokenStore(Protocol):
    """Keeps the newest token of one client for later runs."""

    def load(self) -> Token | None: ...

    def save(self, token: Token) -> None: ...


@dataclass(frozen=True, slots=True)
class FileTokens:
    """In a file that its owner alone can read, for every run of a command."""

    file: Path

    @classmethod
    def of(cls, folder: Path, token_url: str, credentials: Credentials) -> "FileTokens":
        """The file of these credentials; another secret or scope has another one."""
        named = json.dumps([token_url, credentials.client_id, credentials.client_secret, credentials.scopes])
        return cls(folder / f"token-{sha256(named.encode()).hexdigest()[:32]}.json")

    def load(self) -> Token | None:
        """None also where the file is damaged."""
        try:
            document = json.loads(self.file.read_text(encoding="utf-8"))
            return Token(str(document["token"]), float(document["expires_at"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, token: Token) -> None:
        """A folder that cannot be written costs a token a run, and no more."""
        document = {"token": token.text, "expires_at": token.expires_at}
        try:
            write_private(self.file, json.dumps(document))
        except OSError:
            return


def write_private(file: Path, text: str) -> None:
    """Replace a file at once, by one of mode 0600.  Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")  # mkstemp's mode is 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(text)
        Path(name).replace(file)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
