"""EXIF orientation (EXIF 2.32, 4.6.4 A): from stored pixels to shown ones."""

from typing import Final

from PIL import Image

_TURN: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def oriented(image: Image.Image, orientation: int) -> Image.Image:
    """`image` turned and mirrored as a viewer does for this orientation (1-8)."""
    turn = _TURN.get(orientation)
    return image if turn is None else image.transpose(turn)
