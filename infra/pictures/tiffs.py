"""A matrix of TIFFs, written by tifffile: byte order, planes, depth, layout, packing, classic or Big."""

import io
import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tifffile

from infra.pictures import images

Array = npt.NDArray[Any]

SIZE: Final = (61, 47)
SCENE: Final = np.asarray(images.noisy_scene(3, SIZE).convert("CMYK"))
ALPHA: Final = np.asarray(images.noisy_scene(5, SIZE).convert("L"))
# Photometric interpretation, samples that are colours, extra samples.
LAYOUTS: Final[dict[str, tuple[str, int, tuple[str, ...]]]] = {
    "grey": ("minisblack", 1, ()),
    "white": ("miniswhite", 1, ()),
    "grey-alpha": ("minisblack", 1, ("unassalpha",)),
    "grey-extra": ("minisblack", 1, ("unspecified",)),
    "rgb": ("rgb", 3, ()),
    "rgba": ("rgb", 3, ("unassalpha",)),
    "rgb-extra": ("rgb", 3, ("unspecified",)),
    "cmyk": ("separated", 4, ()),
    "cmyk-alpha": ("separated", 4, ("unassalpha",)),
    "cmyk-extra": ("separated", 4, ("unspecified",)),
    "lab": ("cielab", 3, ()),
}
DTYPES: Final = ("u1", "u2", "f2", "f4")
PACKINGS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"compression": "zlib"},
    {"compression": "zlib", "predictor": 2},
    {"compression": "zlib", "rowsperstrip": 5},
    {"compression": "zlib", "predictor": 2, "tile": (16, 32)},
    {"tile": (16, 16)},
)


def samples(layout: str, dtype: str) -> Array:
    """Rows, columns, samples."""
    _, colours, extra = LAYOUTS[layout]
    eight = np.dstack((SCENE[..., :colours], *([ALPHA] * len(extra))))
    if dtype == "u1":
        return eight
    if dtype == "u2":
        return eight.astype("u2") * 257
    return (eight / 255).astype(dtype)


def written(layout: str, dtype: str, order: str, planar: bool, packing: dict[str, Any], **more: Any) -> bytes:
    photometric, _, extra = LAYOUTS[layout]
    values = samples(layout, dtype)
    if planar:
        values = np.moveaxis(values, 2, 0)
    elif values.shape[2] == 1:
        values = values[..., 0]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        np.ascontiguousarray(values).astype(order + dtype),
        byteorder=order,
        photometric=photometric,
        planarconfig=("separate" if planar else "contig") if len(values.shape) == 3 else None,
        extrasamples=extra or None,
        metadata=None,
        **packing | more,
    )
    return file.getvalue()


def cells(layout: str, dtype: str) -> Iterator[tuple[str, bytes]]:
    """A name and a file of every order, planes, packing and version that tifffile writes."""
    for order, planar, packing, big in itertools.product("<>", (False, True), PACKINGS, (False, True)):
        if planar and samples(layout, dtype).shape[2] == 1:
            continue
        if packing.get("predictor") and dtype[0] == "f":
            continue
        packed = "-".join(str(value).replace(" ", "") for value in packing.values()) or "plain"
        name = "-".join((
            *(layout, dtype, "little" if order == "<" else "big"),
            *("planes" if planar else "mixed", packed, "bigtiff" if big else "tiff"),
        ))  # fmt: skip
        yield name, written(layout, dtype, order, planar, packing, bigtiff=big)
