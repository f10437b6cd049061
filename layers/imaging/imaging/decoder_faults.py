"""The one place where a decoder's exception becomes a rejection."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from PIL import Image

from catalog.domain.rejections import ImageRejectedError, RejectionCode

# The limits by format are ours, checked before Pillow opens anything; its own would warn from 89 million on.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's plugins and the C decoders below them raise for bytes they cannot decode.  MemoryError is not
# among them: it is a fault, and retried.
_FAULTS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    EOFError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@contextmanager
def decoder_faults(*, complete: bool) -> Iterator[None]:
    """Around a call into a decoder: its complaint means corrupt; truncated if the file is not `complete`."""
    try:
        yield
    except _FAULTS as error:
        code = RejectionCode.CORRUPT if complete else RejectionCode.TRUNCATED
        raise ImageRejectedError(code, f"the decoder says: {error}") from error
