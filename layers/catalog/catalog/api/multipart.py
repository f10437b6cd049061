"""Multipart/form-data (RFC 7578), as far as one field with one file needs it.

The standard library's email parser splits a whole body into lines, of which a hostile one has millions; here
it sees a part's headers only, and the bytes between two boundaries are cut out by position.
"""

from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

_LONGEST_BOUNDARY: Final = 70  # RFC 2046, 5.1.1
_MAX_PARTS: Final = 16
_MAX_HEADERS: Final = 4096  # bytes, of one part


class MultipartError(ValueError):
    """The body is not multipart/form-data as its Content-Type describes it."""


def form_parts(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """The name and content of every part, in order.  Raises MultipartError."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary("")
    if not (1 <= len(boundary) <= _LONGEST_BOUNDARY and boundary.isascii()):
        raise MultipartError("the boundary is missing or too long")
    # The first boundary needs no line break before it; whatever precedes it is a preamble and ignored.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), _MAX_PARTS + 1)
    if not parts or not parts[-1].startswith(b"--"):
        raise MultipartError(f"it must end with its closing boundary, after at most {_MAX_PARTS} parts")
    return [_part(part) for part in parts[:-1]]


def _part(part: bytes) -> tuple[str, bytes]:
    end = part.find(b"\r\n\r\n", 0, _MAX_HEADERS)
    if end < 0:
        raise MultipartError("a part has no end of its headers")
    headers = BytesHeaderParser().parsebytes(part[:end].lstrip())
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):  # missing, or in the RFC 2231 form that RFC 7578 forbids
        raise MultipartError("a part has no name")
    return name, part[end + 4 :]
