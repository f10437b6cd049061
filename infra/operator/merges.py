"""Find near-duplicates that today's verifier would not merge, and separate them.

    python -m infra.operator.merges list acme --stack catalog-images [--page wrong-merges.html]
    python -m infra.operator.merges separate acme --stack catalog-images [--only <sha256> ...] [--yes]

Both verify every near-duplicate of the tenant that no person decided on against its canonical image (two
decodes and a verification: about 0.3 CPU seconds), and print one JSON object for each that is refused: `id,
filename, canonical, canonical_filename, shares_renditions, likeness, refusal, why, scores`.  `--page` writes
a page with both pictures of each.

`separate` asks for the number of pairs, or takes `--yes`, and gives each image its own renditions; until they
are rendered it shows the shared ones.  The pair is recorded as the verifier's decision, not a person's: a
better verifier may join the two again.  `--only` names the images to separate; `--after` continues after an
id.  It may be stopped and run again.  The last line is `tenant, looked_at, refused, separated, unreadable`.

Needs the operator's AWS credentials (or AWS_ENDPOINT_URL, for the embedded stack).
"""

import argparse
import base64
import html
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import batched
from pathlib import Path
from typing import Any, Final

from catalog.adapters.objects import Originals
from catalog.adapters.sdk import client
from catalog.composition import deciding
from catalog.domain.assets import AssetNotFoundError
from catalog.domain.keys import AssetId, AssetKey, TenantId, asset_id, tenant_id
from catalog.domain.near_duplicates import DecidedBy, Likeness
from catalog.domain.rejections import ImageRejectedError
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from catalog.domain.uploads import OriginalMissingError, OriginalTooLargeError
from catalog.use_cases.rechecking import Rechecking, WrongMerge
from imaging.inspection import inspect
from imaging.originals import canonical_pixels
from infra.operator.commands import MOST_BYTES, after, images_of_a_tenant, refusals
from infra.operator.tenants import stack_outputs

_READ_AT_ONCE: Final = 100
_PICTURE_SIDE: Final = 360  # pixels, on the page

WHY: Final[Mapping[str, str]] = {
    "aspect": "the proportions differ",
    "resolution": "one is too small to show what the other does",
    "hidden": "the larger shows detail that the smaller cannot",
    "mirrored": "one is the other's mirror image",
    "detail": "print, texture or edges differ",
    "presence": "one has print, a badge or a part that the other has not",
    "texture": "ribs or a weave run another way",
    "fine_detail": "fine print or texture differs, seen at full resolution",
    "tone": "one is lighter or darker somewhere, or an outline moved",
    "colour": "an area has another colour",
    "colour_detail": "a small part has another colour",
}


@dataclass
class Rechecked:
    """Counts of the images verified so far."""

    looked_at: int = 0
    unreadable: list[AssetId] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Merges:
    """A tenant's merges in the deployment with these stack outputs."""

    tenant: TenantId
    rechecking: Rechecking

    def wrong(self, rechecked: Rechecked, *, after: AssetId | None = None) -> Iterator[WrongMerge]:
        """Merges that the verifier refuses today, in the order of ids, after `after`."""
        assets = self.rechecking.decisions.assets
        for ids in batched(assets.ids(self.tenant, after=after), _READ_AT_ONCE, strict=False):
            found = assets.many(self.tenant, ids)
            for id_ in ids:
                near = found[id_].near_duplicate if id_ in found else None
                if near is None or near.decided_by is not DecidedBy.PIXELS:
                    continue
                rechecked.looked_at += 1
                if wrong := self._rechecked(id_, rechecked):
                    yield wrong

    def _rechecked(self, id_: AssetId, rechecked: Rechecked) -> WrongMerge | None:
        try:
            return self.rechecking.recheck(AssetKey(self.tenant, id_))
        except (OriginalMissingError, OriginalTooLargeError, ImageRejectedError):
            rechecked.unreadable.append(id_)
            return None

    def separate(self, wrong: WrongMerge) -> bool:
        """Whether this call separated the two."""
        with suppress(AssetNotFoundError):  # purged since it was looked at
            return self.rechecking.separate(wrong)
        return False

    def picture(self, key: AssetKey) -> str:
        """A small copy of an original, as a data URL."""
        data = self.rechecking.originals.read(key, max_bytes=MOST_BYTES)
        picture = canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS)
        picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def merges_of(tenant: TenantId, *, outputs: Mapping[str, str]) -> Merges:
    """Decisions with the settings of the deployed function."""
    configuration = client("lambda").get_function_configuration(FunctionName=outputs["DuplicatesFunction"])
    os.environ.update(configuration["Environment"]["Variables"])
    originals = Originals(outputs["OriginalsBucket"])
    return Merges(tenant, Rechecking(deciding.decisions(), originals, _verify, MOST_BYTES))


def _verify(one: bytes, other: bytes) -> Likeness:
    return inspect(one, limits=DEFAULT_PIXEL_LIMITS).verify(other)


def as_json(wrong: WrongMerge) -> dict[str, Any]:
    """One line of the list."""
    near = wrong.asset.near_duplicate
    return {
        "id": wrong.asset.id,
        "filename": wrong.asset.filename,
        "canonical": wrong.canonical.id,
        "canonical_filename": wrong.canonical.filename,
        "shares_renditions": near is not None and near.shares,
        "likeness": wrong.likeness.verdict,
        "refusal": wrong.likeness.refusal,
        "why": why(wrong),
        "scores": dict(wrong.likeness.scores),
    }


def why(wrong: WrongMerge) -> str:
    """In words; a score of 1 is the limit."""
    refusal = wrong.likeness.refusal or ""
    score = wrong.likeness.scores.get(refusal)
    words = WHY.get(refusal, "the pixels differ")
    return words if score is None else f"{words} ({score:.1f} times what is allowed)"


_STYLE: Final = (
    "body{font:16px system-ui;margin:2em}section{margin:2em 0;border-top:1px solid #ccc}"
    "figure{display:inline-block;margin:1em;vertical-align:top}"
    "figcaption{max-width:360px;overflow-wrap:anywhere}"
)


def page(wrongs: Sequence[WrongMerge], merges: Merges) -> str:
    """A page with both pictures of each, side by side, that needs no network."""
    title = f"{len(wrongs)} merges of {merges.tenant} that are refused today"
    rows = "".join(_row(wrong, merges) for wrong in wrongs)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{rows}</html>\n"
    )


def _row(wrong: WrongMerge, merges: Merges) -> str:
    both = (("shown", wrong.canonical), ("uploaded", wrong.asset))
    figures = "".join(
        f'<figure><img src="{merges.picture(asset.key)}" alt=""><figcaption>'
        f"{html.escape(asset.filename or '')}<br><small>{role}: {asset.id}</small></figcaption></figure>"
        for role, asset in both
    )
    return f"<section><p>{html.escape(why(wrong))}</p>{figures}</section>"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Find and separate what was merged wrongly.")
    parser.add_argument("command", choices=["list", "separate"])
    images_of_a_tenant(parser)
    parser.add_argument("--page", type=Path, help="where to write a page with both pictures of each")
    parser.add_argument("--only", action="append", help="repeatable: id of an image to separate")
    parser.add_argument("--yes", action="store_true", help="separate without asking")
    chosen = parser.parse_args(arguments)
    with refusals():
        merges = merges_of(tenant_id(chosen.tenant), outputs=stack_outputs(chosen.stack))
        only = {asset_id(id_) for id_ in chosen.only or ()}
        _run(merges, chosen, only)


def _run(merges: Merges, chosen: argparse.Namespace, only: set[AssetId]) -> None:
    rechecked, wrongs = Rechecked(), []
    for wrong in merges.wrong(rechecked, after=after(chosen)):
        if not only or wrong.asset.id in only:
            wrongs.append(wrong)
            print(json.dumps(as_json(wrong)))
    if chosen.page:
        chosen.page.write_text(page(wrongs, merges))
    separated = 0
    if chosen.command == "separate" and wrongs and _confirmed(len(wrongs), chosen):
        separated = sum(merges.separate(wrong) for wrong in wrongs)
    summary = {"tenant": merges.tenant, "looked_at": rechecked.looked_at, "refused": len(wrongs)}
    print(json.dumps(summary | {"separated": separated, "unreadable": rechecked.unreadable}))


def _confirmed(count: int, chosen: argparse.Namespace) -> bool:
    if chosen.yes:
        return True
    print(f"Type {count} to give these {count} images renditions of their own: ", end="", file=sys.stderr)
    return sys.stdin.readline().strip() == str(count)


if __name__ == "__main__":
    main()
