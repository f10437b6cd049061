"""The objects in an old shop's bucket: photos, exact copies, half-size copies and broken files."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

from PIL import Image

from infra.local.photos import Photo, collect, upright
from infra.pictures.images import half_of, jpeg_bytes, noisy_scene, webp_bytes

_SIZES: Final = ((640, 480), (480, 640), (720, 540), (600, 600))
_EVERY: Final = 20  # of so many objects, one is an exact copy and one a half-size copy
_BROKEN_EVERY: Final = 100
_PREFIX: Final = "media/catalog"


class Sort(StrEnum):
    """What an object is, compared with those before it."""

    PHOTO = "photo"
    COPY = "exact copy"
    SMALLER = "half-size copy"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Laid:
    """An object of the old bucket.  Its key names an SKU: `media/catalog/<sku>/<name>`.

    Objects with the same `picture` show the same picture.
    """

    key: str
    data: bytes
    content_type: str
    sort: Sort
    picture: str

    @property
    def id(self) -> str:
        return sha256(self.data).hexdigest()

    @property
    def is_broken(self) -> bool:
        return self.sort is Sort.BROKEN

    @property
    def sku(self) -> str:
        return self.key.split("/")[2]


def laid(count: int, folder: Path | None = None) -> Iterator[Laid]:
    """`count` objects, drawn or made from the images in `folder`; the same objects every time."""
    pictures = _drawn() if folder is None else _taken(folder)
    group: list[tuple[Image.Image, Laid]] = []
    for number in range(count):
        place, key = number % _EVERY, f"{_PREFIX}/sku-{number:05d}"
        if not place:
            group.clear()
        if place == _EVERY - 1:
            one = group[0][1]
            yield replace(one, key=f"{key}/copy.jpg", sort=Sort.COPY)
        elif place == _EVERY - 2:
            picture, one = group[1]
            yield Laid(f"{key}/small.webp", _half(picture), "image/webp", Sort.SMALLER, one.picture)
        elif number % _BROKEN_EVERY == _EVERY // 2:
            data = half_of(group[2][1].data)
            yield Laid(f"{key}/broken.jpg", data, "image/jpeg", Sort.BROKEN, f"none {number}")
        else:
            picture, data = next(pictures)
            one = Laid(f"{key}/front.jpg", data, "image/jpeg", Sort.PHOTO, f"laid {number}")
            group.append((picture, one))
            yield one


def _drawn() -> Iterator[tuple[Image.Image, bytes]]:
    for seed in itertools.count(10_000):
        picture = noisy_scene(seed, _SIZES[seed % len(_SIZES)])
        yield picture, jpeg_bytes(picture, 92)


def _taken(folder: Path) -> Iterator[tuple[Image.Image, bytes]]:
    """The folder's images as JPEGs; after the last image again from the first, cut narrower each time."""
    photos = [photo for photo in collect(folder) if isinstance(photo, Photo)]
    for time in itertools.count():
        taken = list(_cut(photos, time))
        if not taken:
            raise FileNotFoundError(f"{folder}: no images in it")
        yield from taken


def _cut(photos: Sequence[Photo], time: int) -> Iterator[tuple[Image.Image, bytes]]:
    for photo in photos:
        try:
            with Image.open(photo.path) as opened:
                picture = upright(opened).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        left = picture.width * min(time, 8) // 10
        picture = picture.crop((left, 0, picture.width, picture.height))
        yield picture, jpeg_bytes(picture, 90 - time % 20)


def _half(picture: Image.Image) -> bytes:
    size = (max(1, picture.width // 2), max(1, picture.height // 2))
    return webp_bytes(picture.resize(size, Image.Resampling.LANCZOS), 85)
