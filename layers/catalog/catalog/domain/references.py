"""References: the names by which clients say that they use an asset."""

import re
from typing import Final

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
