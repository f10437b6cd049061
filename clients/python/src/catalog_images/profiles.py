"""Where the API is and who calls it: variables of the environment, else a profile that `login` wrote.

CATALOG_API_URL, CATALOG_TOKEN_URL, CATALOG_CLIENT_ID and CATALOG_CLIENT_SECRET come first, all four
together.  CATALOG_PROFILE names the profile, `default` unless it does.  Secrets are in the system's keyring
if the package keyring is there and works, else in the profiles' file, which its owner alone can read.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog_images.aio import AsyncCatalogClient
from catalog_images.client import CatalogClient
from catalog_images.errors import ProfileError
from catalog_images.models import Credentials
from catalog_images.tokens import FileTokens, write_private

DEFAULT: Final = "default"
_APP: Final = "catalog-images"
_VARIABLES: Final = ("CATALOG_API_URL", "CATALOG_TOKEN_URL", "CATALOG_CLIENT_ID", "CATALOG_CLIENT_SECRET")


@dataclass(frozen=True, slots=True)
class Profile:
    """A deployment and a client of it."""

    api_url: str
    token_url: str
    credentials: Credentials

    def arguments(self) -> dict[str, Any]:
        """Those of a client, whose token serves the runs after this one too."""
        tokens = FileTokens.of(cache_folder(), self.token_url, self.credentials)
        return {
            "api_url": self.api_url,
            "token_url": self.token_url,
            "credentials": self.credentials,
            "tokens": tokens,
        }


def connect(profile: str | None = None) -> CatalogClient:
    """A client of the environment's variables, or of a profile.  Raises ProfileError."""
    return CatalogClient(**chosen(profile).arguments())


def aconnect(profile: str | None = None) -> AsyncCatalogClient:
    """`connect` for asyncio.  Raises ProfileError."""
    return AsyncCatalogClient(**chosen(profile).arguments())


def chosen(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Profile:
    """The profile of this name; without one the environment's variables, else its profile.

    Raises ProfileError.
    """
    given = [environ.get(variable, "") for variable in _VARIABLES]
    if name is None and all(given):
        return Profile(given[0], given[1], Credentials(given[2], given[3]))
    if name is None and any(given):
        lacking = [variable for variable, value in zip(_VARIABLES, given, strict=True) if not value]
        raise ProfileError(f"not set: {', '.join(lacking)}")
    return load(name or environ.get("CATALOG_PROFILE") or DEFAULT)


def names() -> list[str]:
    """Every profile."""
    return sorted(_profiles())


def load(name: str) -> Profile:
    """Raises ProfileError."""
    known = _profiles()
    if name not in known:
        raise ProfileError(f"there is no profile {name}: log in with `catalog-images login`")
    told = known[name]
    secret = told.get("client_secret") or _from_keyring(name)
    if not secret:
        raise ProfileError(f"the keyring has no secret of the profile {name}: log in again")
    return Profile(told["api_url"], told["token_url"], Credentials(told["client_id"], secret))


def save(name: str, profile: Profile) -> str:
    """Keep a profile; returns where its secret is.  Raises ProfileError."""
    told = {
        "api_url": profile.api_url,
        "token_url": profile.token_url,
        "client_id": profile.credentials.client_id,
    }
    in_keyring = _to_keyring(name, profile.credentials.client_secret)
    if not in_keyring:
        told["client_secret"] = profile.credentials.client_secret
    _write(_profiles() | {name: told})
    return "the system's keyring" if in_keyring else str(profiles_file())


def forget(name: str) -> None:
    """Remove a profile and its secret.  Raises ProfileError."""
    known = _profiles()
    if known.pop(name, None) is None:
        raise ProfileError(f"there is no profile {name}")
    _write(known)
    _to_keyring(name, None)


def profiles_file() -> Path:
    return _folder("XDG_CONFIG_HOME", ".config") / "profiles.json"


def cache_folder() -> Path:
    """Where tokens and hashes are kept."""
    return _folder("XDG_CACHE_HOME", ".cache")


def _folder(variable: str, usual: str) -> Path:
    if given := os.environ.get(variable):
        return Path(given) / _APP
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / _APP
    return Path.home() / usual / _APP


def _profiles() -> dict[str, dict[str, str]]:
    file = profiles_file()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ProfileError(f"{file}: {error}") from error
    if not isinstance(found, dict):
        raise ProfileError(f"{file} holds no profiles")
    return found


def _write(known: Mapping[str, Mapping[str, str]]) -> None:
    try:
        write_private(profiles_file(), json.dumps(known, indent=2) + "\n")
    except OSError as error:
        raise ProfileError(f"{profiles_file()}: {error}") from error


def _keyring() -> Any:
    """The package keyring where it is installed and has a place to keep secrets; else None."""
    try:
        import keyring  # noqa: PLC0415 - optional
        from keyring.backends import fail, null  # noqa: PLC0415
    except ImportError:
        return None
    return None if isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring) else keyring


def _from_keyring(name: str) -> str | None:
    keyring = _keyring()
    if keyring is None:
        return None
    try:
        secret: str | None = keyring.get_password(_APP, name)
    except keyring.errors.KeyringError:
        return None
    return secret


def _to_keyring(name: str, secret: str | None) -> bool:
    """Whether it keeps the secret; None removes it."""
    keyring = _keyring()
    if keyring is None:
        return False
    try:
        if secret is None:
            keyring.delete_password(_APP, name)
        else:
            keyring.set_password(_APP, name, secret)
    except keyring.errors.KeyringError:
        return False
    return True
