"""References: the names by which clients say that they use an asset, and what they say of each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from catalog.domain.assets import Asset

# No segment that clients or proxies remove (`//`, `/./`, `/../`), and no `%`: the name is the same before and
# after a gateway decodes the path.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9](?: *(?:/?[A-Za-z0-9_:@~#+,=&()'!*$;-]|\.))*")
_LONGEST: Final = 128
_HOLDS: Final = "duplicate/"  # references of near-duplicates begin with it
RULE: Final = (
    "must be 1 to 128 of A-Z a-z 0-9 / # space . _ : @ ~ + , = & ( ) ' ! * $ ; - in percent-encoding,"
    " begin with a letter or digit, not with duplicate/, and not end with a space or slash;"
    " what follows a slash is no slash, dot or space"
)


class NotAReferenceError(ValueError):
    """Not a name that a reference may have."""


def reference_name(text: str) -> str:
    """Raises NotAReferenceError."""
    if len(text) > _LONGEST or not _REFERENCE.fullmatch(text) or text.startswith(_HOLDS):
        raise NotAReferenceError(repr(text[:80]))
    return text


MOST_POSITION: Final = 999_999
LONGEST_ROLE: Final = 32  # characters
LONGEST_ALT: Final = 500  # characters


@dataclass(frozen=True, slots=True)
class Use:
    """A reference, and what the image is to it.

    `position` orders a reference's images, from 0; None comes last.  `alt` is what a page says instead of it.
    """

    reference: str
    position: int | None = None
    role: str | None = None
    alt: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An asset, and what its entries say of some of its references."""

    asset: Asset
    uses: Mapping[str, Use]

    def lacking(self, uses: Iterable[Use], *, keep: bool) -> list[Use]:
        """Those of the uses to record; of several of one reference the last counts.

        `keep`: what is said of a reference that is there stays.
        """
        last = {use.reference: use for use in uses}
        return [use for use in last.values() if not self._has(use, keep=keep)]

    def _has(self, use: Use, *, keep: bool) -> bool:
        recorded = self.uses.get(use.reference)
        named = use.reference in self.asset.references and recorded is not None
        return named and (keep or recorded == use)


@dataclass(frozen=True, slots=True)
class Mended:
    """How many entries an asset's references lacked, and how many were of references it does not have."""

    added: int = 0
    removed: int = 0

    def __add__(self, other: "Mended") -> "Mended":
        return Mended(self.added + other.added, self.removed + other.removed)
