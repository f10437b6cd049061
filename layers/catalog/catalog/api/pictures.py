"""Markup that shows an image: a `srcset` and a whole `<picture>`, ready to be put into a page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from catalog.domain.presets import Format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from catalog.domain.renditions import Rendition
    from catalog.domain.sources import Source

    UrlOf = Callable[[Rendition], str]

# As a browser should try them; every browser shows the last two.
_BEST_FIRST: Final = (Format.AVIF, Format.WEBP, Format.PNG, Format.JPEG)


def markup(renditions: Iterable[Rendition], source: Source | None, *, url_of: UrlOf) -> dict[str, Any]:
    """`srcset` of the format that most browsers show, `picture` with all of them; null without renditions.

    Renditions of another shape (cropped, padded) are left out: a browser may take any of a srcset.
    """
    alike = _of_one_shape(list(renditions), source)
    by_format = {each: _by_width(one for one in alike if one.format is each) for each in _BEST_FIRST}
    offered = [(each, found) for each, found in by_format.items() if found]
    if not offered:
        return {"srcset": None, "picture": None}
    *better, (_, most) = offered
    largest = most[-1]
    sizes = f"auto, (max-width: {largest.width}px) 100vw, {largest.width}px"
    sources = [
        f'<source type="image/{each}" srcset="{escape(_srcset(found, url_of))}" sizes="{sizes}">'
        for each, found in better
    ]
    image = (
        f'<img src="{escape(url_of(largest))}" srcset="{escape(_srcset(most, url_of))}" sizes="{sizes}" '
        f'width="{largest.width}" height="{largest.height}" alt="" loading="lazy" decoding="async">'
    )
    return {
        "srcset": _srcset(most, url_of),
        "picture": f"<picture>{''.join(sources)}{image}</picture>",
    }


def _srcset(renditions: Iterable[Rendition], url_of: UrlOf) -> str:
    return ", ".join(f"{url_of(one)} {one.width}w" for one in renditions)


def _by_width(renditions: Iterable[Rendition]) -> list[Rendition]:
    """One of each width, that of the fewest bytes: a small original is not enlarged, so presets may agree."""
    fewest_last = sorted(renditions, key=lambda one: -one.size_bytes)
    by_width = {one.width: one for one in fewest_last}
    return [by_width[width] for width in sorted(by_width)]


def _of_one_shape(renditions: Sequence[Rendition], source: Source | None) -> list[Rendition]:
    """Those of the original's shape, or else of the largest one's."""
    if not renditions:
        return []
    shape = (source.width, source.height) if source else (0, 0)
    whole = [one for one in renditions if _alike(shape, (one.width, one.height))]
    if whole:
        return whole
    largest = max(renditions, key=lambda one: one.width * one.height)
    return [one for one in renditions if _alike((largest.width, largest.height), (one.width, one.height))]


def _alike(shape: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether both have one shape, each side rounded to a pixel."""
    (width, height), (other_width, other_height) = shape, other
    rounding = (width + height + other_width + other_height) / 2
    return width > 0 and abs(width * other_height - other_width * height) <= rounding
