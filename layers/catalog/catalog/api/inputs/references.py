"""The reference in a path."""

import re
from typing import Final
from urllib.parse import unquote

from catalog.api.inputs.fields import Fault, InvalidRequestError

# No segment that clients or proxies remove (`//`, `/./`, `/../`), and no `%`: the name is the same before and
# after a gateway decodes the path.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9](?: *(?:/?[A-Za-z0-9_:@~#+,=&()'!*$;-]|\.))*")
_LONGEST_REFERENCE: Final = 128
_HOLDS: Final = "duplicate/"  # references of near-duplicates begin with it


def path_reference(text: str) -> str:
    """The name of a reference from the rest of a path, percent-encoded or decoded already.

    Raises InvalidRequestError.
    """
    name = unquote(text)
    if len(name) > _LONGEST_REFERENCE or not _REFERENCE.fullmatch(name) or name.startswith(_HOLDS):
        message = (
            "must be 1 to 128 of A-Z a-z 0-9 / # space . _ : @ ~ + , = & ( ) ' ! * $ ; - in percent-encoding,"
            " begin with a letter or digit, not with duplicate/, and not end with a space or slash;"
            " what follows a slash is no slash, dot or space"
        )
        raise InvalidRequestError([Fault("reference", message)])
    return name
