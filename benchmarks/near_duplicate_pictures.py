"""The pictures of docs/near-duplicates.md: pairs that are merged, shown to a person, and neither.

    python -m benchmarks.near_duplicate_pictures docs/near-duplicates

Products drawn in code; every pair is verified as it is drawn, and one that would get another verdict than its
picture says is an error.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks._edits import EDITS, FRAMES, MARKS, TONES, Edit, encoded
from benchmarks._verdicts import canonical
from catalog.domain.near_duplicates import Verdict
from imaging.verification import verify
from infra.pictures.products import WHITE, Drawn, drawn

SIDE: Final = 500
_CELL: Final = 150
_GAP: Final = 12
_CAPTION: Final = 34
_GREY: Final = (110, 110, 110)

CARTON: Final = Drawn(
    shape="carton",
    body=(228, 172, 52),
    accent=(38, 92, 160),
    label="64 GB",
    text_size=40,
    badge="",
    handle="left",
    width=0.5,
    height=0.7,
    grain=1.5,
    seed=3,
)
MUG: Final = replace(CARTON, shape="mug", body=(52, 128, 72), accent=(240, 240, 240), label="")
SHIRT: Final = replace(CARTON, shape="shirt", body=(38, 92, 160), accent=(228, 172, 52), label="", height=0.8)


@dataclass(frozen=True)
class Pair:
    """A product as it was uploaded first, and the file that was uploaded second."""

    caption: str
    product: Drawn
    second: Callable[[], bytes]

    @property
    def first(self) -> bytes:
        return encoded(drawn(self.product, SIDE), "PNG")

    @property
    def verdict(self) -> Verdict:
        return verify(canonical(self.first), canonical(self.second())).verdict


def _edited(caption: str, product: Drawn, edit: Edit) -> Pair:
    def second() -> bytes:
        data = edit(drawn(product, SIDE))
        if data is None:
            raise ValueError(f"{caption}: nothing to edit")
        return data

    return Pair(caption, product, second)


def _other(caption: str, product: Drawn, other: Drawn) -> Pair:
    return Pair(caption, product, lambda: encoded(drawn(other, SIDE), "PNG"))


PAIRS: Final[Mapping[str, tuple[Pair, ...]]] = {
    "merged": (
        _edited("saved again,\nJPEG quality 50", CARTON, EDITS["JPEG q50"]),
        _edited("half the size,\nWebP", MUG, EDITS["50% Lanczos, WebP q75 (Next.js)"]),
        _edited("another format,\nAVIF", SHIRT, EDITS["AVIF q75"]),
    ),
    "shown-to-a-person": (
        _edited("other margins", CARTON, FRAMES["padded to a square"]),
        _edited("made lighter", MUG, TONES["levels 245 to 255"]),
        _edited("a watermark", SHIRT, MARKS["watermark"]),
    ),
    "neither": (
        _other("another print", CARTON, replace(CARTON, label="32 GB")),
        _other("another colour", SHIRT, replace(SHIRT, body=(60, 60, 66))),
        _other("another shape", MUG, replace(MUG, width=0.56)),
    ),
}
"""By the name of the picture."""

VERDICTS: Final[Mapping[str, frozenset[Verdict]]] = {
    "merged": frozenset({Verdict.SAME}),
    "shown-to-a-person": frozenset({Verdict.SUSPECTED, Verdict.TOO_SMALL}),
    "neither": frozenset({Verdict.DIFFERENT}),
}


def picture(pairs: tuple[Pair, ...]) -> Image.Image:
    """The pairs beside each other, a caption below each."""
    width = len(pairs) * (2 * _CELL + _GAP) + (len(pairs) + 1) * 2 * _GAP
    sheet = Image.new("RGB", (width, _CELL + _CAPTION + 3 * _GAP), WHITE)
    draw = ImageDraw.Draw(sheet)
    for index, pair in enumerate(pairs):
        x = 2 * _GAP + index * (2 * _CELL + 3 * _GAP)
        for column, data in enumerate((pair.first, pair.second())):
            _show(sheet, canonical(data), x + column * (_CELL + _GAP), _GAP)
        draw.multiline_text(
            (x + _CELL + _GAP / 2, _CELL + 2 * _GAP),
            pair.caption.replace("\n", " "),
            fill=_GREY,
            font=ImageFont.load_default(15),
            anchor="ma",
        )
    return sheet


def _show(sheet: Image.Image, image: Image.Image, x: int, y: int) -> None:
    """In a thin frame that shows where its margins end, as large beside the others as its pixels are."""
    scale = _CELL / SIDE
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
    framed = ImageOps.expand(small, 1, (200, 200, 200))
    sheet.paste(framed, (x + (_CELL - framed.width) // 2, y + (_CELL - framed.height) // 2))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.near_duplicate_pictures", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in PAIRS.items():
        for pair in pairs:
            if pair.verdict not in VERDICTS[name]:
                sys.exit(f"error: {pair.caption!r} is {pair.verdict}, so does not belong to {name}")
        picture(pairs).quantize(128).save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
