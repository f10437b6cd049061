"""The demo's page: every original beside its renditions, in one folder that needs no network.

.demo/index.html            the page, without scripts; it refers only to files beside it
.demo/originals/{id}.webp   a small copy that every browser shows, also of a TIFF or CMYK original
.demo/renditions/{id}/...   the renditions, byte for byte as the pipeline serves them
"""

import html
import io
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from PIL import Image, ImageCms

from catalog_images import Pair, Rendition
from infra.local.photos import Photo, printable, upright
from infra.local.report import SENTENCES, End, Figures, Row, byte_size, figures, files_by_id, presets_of

_PREVIEW_SIDE: Final = 640  # pixels; twice what the page shows, for dense screens


class RenditionDiffersError(Exception):
    """A rendition's URL gave other bytes than the API said."""


@dataclass(frozen=True, slots=True)
class Change:
    """One preset's rendition of an image before and after the preset was changed."""

    image_id: str
    file: str
    before: Rendition
    after: Rendition


class ContactSheet:
    """A folder of pictures and the page that shows them.  Threads may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def page(self) -> Path:
        return self._folder / "index.html"

    def add_original(self, photo: Photo) -> None:
        """Keep a small upright copy, unless Pillow cannot make one.

        Call it only for accepted files: this decode relies on the pipeline's limits.
        """
        path = self._original(photo.sha256)
        if path.exists():
            return
        try:
            preview = _preview(photo.path)
        except (
            OSError,
            ValueError,
            SyntaxError,
            struct.error,
            Image.DecompressionBombError,
            ImageCms.PyCMSError,
        ):
            return  # the page says "no preview" in its place
        _write_whole(path, preview)

    def add_renditions(
        self, image_id: str, renditions: Sequence[Rendition], *, download: Callable[[Rendition], bytes]
    ) -> None:
        """Download each rendition that is missing.  Raises RenditionDiffersError, and as `download` does."""
        for rendition in renditions:
            path = self._rendition(image_id, rendition)
            # An image that was separated from its group has other renditions under the same ids.
            if path.exists() and path.stat().st_size == rendition.size_bytes:
                continue
            data = download(rendition)
            if len(data) != rendition.size_bytes:
                raise RenditionDiffersError(f"{rendition.id}: {len(data)} bytes, not {rendition.size_bytes}")
            _write_whole(path, data)

    def write(
        self, rows: Sequence[Row], suspected: Sequence[Pair] = (), changes: Sequence[Change] = ()
    ) -> Path:
        """Write the page of these rows, pairs that wait for a person and changes; return its path."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.page.write_text(self._html(rows, suspected, changes), encoding="utf-8")
        return self.page

    def _original(self, image_id: str) -> Path:
        return self._folder / "originals" / f"{image_id}.webp"

    def _rendition(self, image_id: str, rendition: Rendition) -> Path:
        # A rendition's id changes with its preset and encoder, so a file here is never stale.
        extension = PurePosixPath(urlsplit(rendition.url).path).suffix
        return self._folder / "renditions" / image_id / f"{rendition.id}{extension}"

    def _html(self, rows: Sequence[Row], suspected: Sequence[Pair], changes: Sequence[Change]) -> str:
        presets, files = presets_of(rows), files_by_id(rows)
        pictured = [(row, row.id) for row in rows if row.id and row.renditions]
        plain = [row for row in rows if not row.renditions]
        present = [end for end in End if any(row.end is end for row in rows)]
        return _PAGE.format(
            style=_STYLE + "".join(_FILTER_STYLE.format(end=end) for end in present),
            tiles=_tiles(figures(rows)),
            filters="".join(
                f'<label><input type="radio" name="show" value="{end}">{end}</label>' for end in present
            ),
            pictured="\n".join(_card(row, self._strip(row, id_, presets), files) for row, id_ in pictured),
            plain="\n".join(_card(row, "", files) for row in plain),
            pairs=self._pairs(rows, files) + self._suspected(suspected, files) + self._changed(changes),
        )

    def _strip(self, row: Row, id_: str, presets: Sequence[str]) -> str:
        """The original and its renditions, in the order of `presets`."""
        by_preset = {rendition.preset: rendition for rendition in row.renditions}
        facts = f"{row.width} x {row.height}, {byte_size(row.size_bytes)}"
        shown = [self._figure(self._original(id_), "original", facts)]
        for preset in presets:
            if rendition := by_preset.get(preset):
                shown.append(self._shown(id_, rendition, preset))
        return f'<div class="strip">{"".join(shown)}</div>'

    def _pairs(self, rows: Sequence[Row], files: Mapping[str, str]) -> str:
        """Each near-duplicate beside its canonical image, if both are among the rows."""
        pairs = {(row.id, row.near_duplicate_of): row for row in rows if row.id}
        shown = [
            self._pair(row.end, "=", {of: "first", id_: "shows its renditions"}, files)
            for (id_, of), row in pairs.items()
            if of in files
        ]
        return _section("Near-duplicates", shown)

    def _suspected(self, pairs: Sequence[Pair], files: Mapping[str, str]) -> str:
        """Pairs that may be the same picture: each keeps its own renditions until a person decides."""
        shown = [
            self._pair(End.READY, "?", {one: f"differs: {pair.refusal}", other: ""}, files)
            for pair in pairs
            for one, other in [pair.ids]
            if pair.decision is None and one in files and other in files
        ]
        return _section("The same picture? A person decides", shown)

    def _changed(self, changes: Sequence[Change]) -> str:
        shown = [
            f'<article data-end="{End.READY}"><h2>{_text(change.file)}, {_text(change.after.preset)}</h2>'
            f'<div class="strip">{self._shown(change.image_id, change.before, "before")}'
            f"{self._shown(change.image_id, change.after, 'after')}</div></article>"
            for change in changes
        ]
        return _section("A preset changed", shown)

    def _shown(self, id_: str, rendition: Rendition, title: str) -> str:
        facts = f"{rendition.width} x {rendition.height}, {byte_size(rendition.size_bytes)}"
        return self._figure(self._rendition(id_, rendition), title, facts)

    def _pair(self, end: End, sign: str, said: Mapping[str, str], files: Mapping[str, str]) -> str:
        """Two originals side by side; `said` has what to say of each, by id."""
        pictures = [self._figure(self._original(id_), files[id_], words) for id_, words in said.items()]
        return (
            f'<article data-end="{end}"><h2>{f" {sign} ".join(_text(files[id_]) for id_ in said)}</h2>'
            f'<div class="strip">{"".join(pictures)}</div></article>'
        )

    def _figure(self, path: Path, title: str, facts: str) -> str:
        if not path.exists():
            return f"<figure><div>no preview</div><figcaption><b>{_text(title)}</b></figcaption></figure>"
        source = _text(path.relative_to(self._folder).as_posix())
        return (
            f'<figure><a href="{source}"><img src="{source}" alt="{_text(title)}" loading="lazy">'
            f"</a><figcaption><b>{_text(title)}</b> {_text(facts)}</figcaption></figure>"
        )


def _section(title: str, articles: Sequence[str]) -> str:
    return f"<h1>{title}</h1>\n<section>\n{'\n'.join(articles)}\n</section>\n" if articles else ""


def _write_whole(path: Path, data: bytes) -> None:
    """Write the whole file or nothing, so that an interrupted run leaves no partial file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _preview(path: Path) -> bytes:
    with Image.open(path) as original:
        original.draft("RGB", (_PREVIEW_SIDE, _PREVIEW_SIDE))
        preview = _showable(upright(original))
    preview.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE), Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    # The browser applies the profile of RGB pixels.
    preview.save(encoded, "WEBP", quality=82, method=2, icc_profile=preview.info.get("icc_profile"), exif=b"")
    return encoded.getvalue()


def _showable(image: Image.Image) -> Image.Image:
    """`image` as RGB or RGBA, the modes that every browser shows right."""
    if image.mode in {"RGB", "RGBA"}:
        return image
    profile = image.info.pop("icc_profile", None)
    if profile and image.mode in {"CMYK", "L"}:
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB")
        return converted or image
    if image.mode.startswith(("I", "F")):
        white = 1.0 if image.mode == "F" else 65535.0
        image = image.convert("F").point(lambda value: value * (255 / white) + 0).convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _card(row: Row, pictures: str, files: Mapping[str, str]) -> str:
    said = f"{row.end}: {row.code}" if row.code else str(row.end)
    facts = [] if pictures else [byte_size(row.size_bytes)]
    if row.code in SENTENCES:
        facts.insert(0, SENTENCES[row.code])
    if row.seconds is not None:
        facts.append(f"{row.seconds:.2f} s from PUT to {row.end}")
    if row.known:
        facts.append("known, nothing sent")
    if row.duplicate_of:
        facts.append(f"same bytes as {row.duplicate_of}")
    if row.near_duplicate_of:
        facts.append(f"near-duplicate of {files.get(row.near_duplicate_of, row.near_duplicate_of[:12])}")
    return (
        f'<article data-end="{row.end}"><header><h2>{_text(row.file)}</h2>'
        f'<span class="end {row.end}">{_text(said)}</span></header>'
        f"<p>{_text(', '.join(facts))}</p>{pictures}</article>"
    )


def _text(text: str) -> str:
    """Escape any text, such as a file's name, for HTML text or an attribute."""
    return html.escape(printable(text), quote=True)


def _tiles(run: Figures) -> str:
    facts = [(str(run.files), "files")]
    facts += [(str(run.ends[end]), end) for end in End if run.ends[end]]
    facts += [
        (str(run.sent), "sent"),
        (str(run.known), "already known"),
        (byte_size(run.bytes_in), "of originals"),
        (byte_size(run.rendition_bytes), f"in {run.renditions} renditions"),
    ]
    if run.p50_seconds is not None and run.p95_seconds is not None:
        facts += [(f"{run.p50_seconds:.2f} s", "PUT to ready, p50"), (f"{run.p95_seconds:.2f} s", "p95")]
    return "".join(f"<li><b>{_text(figure)}</b> {_text(name)}</li>" for figure, name in facts)


_FILTER_STYLE: Final = """
main:has(input[value={end}]:checked) article:not([data-end={end}]) {{ display: none }}"""

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2126; --soft: #687078; --page: #f5f5f2; --card: #fff;
  --line: #e2e2dc; --mat: #ecece7; --good: #1c7c4a; --odd: #96640a; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e4; --soft: #9aa0a6; --page: #15171a; --card: #1f2226; --line: #33373c; --mat: #2a2e33;
    --good: #5fc793; --odd: #e0ae55; --bad: #f28b82 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { max-width: 1560px; margin: 0 auto; padding: 24px 16px 64px }
h1 { font-size: 22px; margin: 0 0 12px } section + h1 { margin-top: 32px }
ul { display: flex; flex-wrap: wrap; gap: 6px 22px; list-style: none; margin: 0 0 16px; padding: 0;
  color: var(--soft) }
ul b { color: var(--ink); font-size: 17px; font-variant-numeric: tabular-nums }
nav { display: flex; flex-wrap: wrap; gap: 8px; margin-bottom: 20px }
nav label { border: 1px solid var(--line); background: var(--card); border-radius: 99px; padding: 4px 14px;
  cursor: pointer }
nav label:has(:checked) { background: var(--ink); color: var(--page); border-color: var(--ink) }
nav label:has(:focus-visible) { outline: 2px solid var(--good); outline-offset: 2px }
nav input { position: absolute; opacity: 0 }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 560px), 1fr)); gap: 14px;
  align-items: start }
.plain { grid-template-columns: repeat(auto-fill, minmax(min(100%, 420px), 1fr)); margin-top: 14px }
article { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 12px 14px }
header { display: flex; gap: 12px; align-items: baseline; justify-content: space-between }
h2 { font-size: 15px; margin: 0; overflow-wrap: anywhere }
.end { font-size: 13px; font-weight: 600; text-align: right; color: var(--odd) }
.ready { color: var(--good) } .incomplete, .unfinished { color: var(--bad) }
p { margin: 1px 0 0; color: var(--soft); font-size: 13px; overflow-wrap: anywhere }
.strip { display: grid; grid-template-columns: repeat(auto-fit, minmax(120px, 1fr)); gap: 10px;
  margin-top: 10px }
figure { margin: 0; min-width: 0; max-width: 320px }
figure a, figure div { position: relative; display: grid; place-items: center; aspect-ratio: 1;
  background: var(--mat); border-radius: 6px; overflow: hidden; color: var(--soft); font-size: 13px }
img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain }
figcaption { font-size: 12px; color: var(--soft); margin-top: 4px; font-variant-numeric: tabular-nums }
figcaption b { color: var(--ink); display: block }
"""

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Catalog images: contact sheet</title>
<style>{style}</style>
<main>
<h1>Originals beside their renditions</h1>
<ul>{tiles}</ul>
<nav><label><input type="radio" name="show" value="all" checked>all</label>{filters}</nav>
<section>
{pictured}
</section>
<section class="plain">
{plain}
</section>
{pairs}
</main>
</html>
"""
