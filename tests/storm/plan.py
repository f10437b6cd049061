"""What a storm throws: drawn from its seed alone: the same seed throws the same bytes in the same turns."""

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from infra.pictures.images import (
    gif_bomb,
    half_of,
    html_named_jpg,
    jpeg_bytes,
    noisy_scene,
    png_bomb,
    png_bytes,
    product_photo,
    tiff_bomb,
    webp_bomb,
    webp_bytes,
    with_jpeg_size,
    with_png_size,
)

TENANTS: Final = ("acme", "globex", "initech")


class Sort(StrEnum):
    """What an upload is, compared with those before it."""

    FRESH = "fresh photo"
    OWN_DUPLICATE = "exact duplicate, own tenant's"
    FOREIGN_DUPLICATE = "exact duplicate, another tenant's"
    NEAR_DUPLICATE = "near-duplicate"
    POISON = "poison"
    WRONG_BYTES = "other bytes than announced"


@dataclass(frozen=True, slots=True)
class File:
    """Bytes to send.  `picture` names what they show, None where that is nothing."""

    data: bytes
    content_type: str
    picture: str | None
    poison: str | None = None

    @property
    def id(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Upload:
    """One turn of one client: a file, and how that compares with what was thrown before."""

    number: int
    tenant: str
    sort: Sort
    file: File


@dataclass(frozen=True, slots=True)
class Plan:
    """The uploads of each client, in its order; the client's index is its name."""

    seed: int
    uploads: tuple[tuple[Upload, ...], ...]

    def __iter__(self) -> Iterator[Upload]:
        return (upload for turns in self.uploads for upload in turns)


def tenant_of(client: int) -> str:
    """Clients are dealt out to the tenants in turn."""
    return TENANTS[client % len(TENANTS)]


def plan(seed: int, *, uploads: int, clients: int) -> Plan:
    """Of `uploads` a third are exact duplicates (six in ten of them of the own tenant's), a tenth poison or
    other bytes than announced, a fifteenth near-duplicates; the rest are new."""
    rng = random.Random(seed)
    sorts = [Sort.OWN_DUPLICATE] * (uploads // 5)
    sorts += [Sort.FOREIGN_DUPLICATE] * (uploads // 3 - uploads // 5)
    sorts += [Sort.POISON] * (uploads // 10 - uploads // 50) + [Sort.WRONG_BYTES] * (uploads // 50)
    sorts += [Sort.NEAR_DUPLICATE] * (uploads // 15)
    sorts += [Sort.FRESH] * (uploads - len(sorts))
    rng.shuffle(sorts)
    turns: list[list[Upload]] = [[] for _ in range(clients)]
    thrown: dict[str, list[File]] = {tenant: [] for tenant in TENANTS}
    for number, sort in enumerate(sorts):
        client = number % clients
        tenant = tenant_of(client)
        own = thrown[tenant]
        others = [file for other, files in thrown.items() if other != tenant for file in files]
        match sort:
            case Sort.OWN_DUPLICATE if own:
                file = rng.choice(own)
            case Sort.FOREIGN_DUPLICATE if others:
                file = rng.choice(others)
            case Sort.NEAR_DUPLICATE if any(file.picture for file in own):
                file = _seen_again(rng, rng.choice([file for file in own if file.picture]))
            case Sort.POISON:
                file = _poison(rng, number)
            case Sort.WRONG_BYTES:
                file = _photo(rng, f"{seed}/{number}")
            case _:
                sort = Sort.FRESH  # noqa: PLW2901 - nothing was thrown yet that it could be like
                file = _photo(rng, f"{seed}/{number}")
        if sort is not Sort.WRONG_BYTES:
            own.append(file)
        turns[client].append(Upload(number, tenant, sort, file))
    return Plan(seed, tuple(map(tuple, turns)))


def _photo(rng: random.Random, picture: str) -> File:
    seed = int.from_bytes(hashlib.sha256(picture.encode()).digest()[:4])
    size = (rng.randrange(320, 720), rng.randrange(240, 640))
    draw = rng.choice((product_photo, noisy_scene))
    image = draw(seed, size)
    encode, content_type = rng.choice(
        (
            (jpeg_bytes, "image/jpeg"),
            (jpeg_bytes, "image/jpeg"),
            (png_bytes, "image/png"),
            (webp_bytes, "image/webp"),
        )
    )
    return File(encode(image), content_type, f"{draw.__name__}/{seed}/{size[0]}x{size[1]}")


def _seen_again(rng: random.Random, file: File) -> File:
    """The same picture at another quality, or smaller."""
    kind, seed, size = str(file.picture).split("/")
    width, height = map(int, size.split("x"))
    image = {"product_photo": product_photo, "noisy_scene": noisy_scene}[kind](int(seed), (width, height))
    scale = rng.choice((1.0, 1.0, 0.75, 0.6))
    smaller = image.resize((round(width * scale), round(height * scale)))
    return File(jpeg_bytes(smaller, rng.randrange(60, 96)), "image/jpeg", file.picture)


def _poison(rng: random.Random, number: int) -> File:
    """A file that can be no image; `number` makes each another one."""
    good = jpeg_bytes(product_photo(number, (400, 300)))
    side = 12_000 + number
    made: dict[str, Callable[[], tuple[bytes, str]]] = {
        "truncated JPEG": lambda: (half_of(good), "image/jpeg"),
        "truncated PNG": lambda: (half_of(png_bytes(product_photo(number, (300, 200)))), "image/png"),
        "web page": lambda: (html_named_jpg() + str(number).encode(), "image/jpeg"),
        "noise": lambda: (b"\xff\xd8\xff\xe0" + random.Random(number).randbytes(5_000), "image/jpeg"),
        "PNG bomb": lambda: (png_bomb(side), "image/png"),
        "WebP bomb": lambda: (webp_bomb(side), "image/webp"),
        "GIF bomb": lambda: (gif_bomb(side), "image/gif"),
        "TIFF bomb": lambda: (tiff_bomb(side), "image/tiff"),
        "JPEG that lies about its size": lambda: (with_jpeg_size(good, 60_000, 60_000), "image/jpeg"),
        "PNG that lies about its size": lambda: (
            with_png_size(png_bytes(product_photo(number, (300, 200))), 40_000, 40_000),
            "image/png",
        ),
    }
    name = rng.choice(sorted(made))
    data, content_type = made[name]()
    return File(data, content_type, None, name)
