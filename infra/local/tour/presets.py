"""A preset changes: a dry run, the rebuild, a check of what is left, and the way back."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from catalog_images import ApiError, Job, Rendition
from infra.local.contact_sheet import Change
from infra.local.deploy import deployed_with
from infra.local.tour.acts import Act
from infra.local.tour.jobs import Shop, not_completed, paths, side_by_side

_BOX_PARTS: Final = 4  # a card of 600 pixels becomes one of 600 x 450

Renditions = Mapping[str, tuple[Rendition, ...]]


def change_of_a_preset(shop: Shop) -> tuple[Act, list[Change]]:
    """Deploy another shape for one preset, rebuild the shop's images, and go back.

    Needs a ready image.  Raises CatalogError and DeploymentError.
    """
    parameters = shop.stack.parameters()
    name, presets = other_shape(json.loads(parameters["Presets"]))
    before = _shown(shop)
    first = next(iter(before))
    watch = Watch(shop, first, _named(before[first], name), float(parameters["OldRenditionsSeconds"]))
    shop.sheet.add_renditions(first, [watch.old], download=shop.catalog.download)
    with deployed_with(shop.stack, Presets=json.dumps(presets, separators=(",", ":"))):
        jobs = {
            "dry run": shop.run("rebuild"),
            "rebuild": shop.run("rebuild", dry_run=False, look=watch.look),
            "then, dry run": shop.run("rebuild"),
        }
        after = _shown(shop)
        new = _named(after[first], name)
        shop.sheet.add_renditions(first, [new], download=shop.catalog.download)
        broken = [*watch.broken, *watch.afterwards(), *orphans(shop)]
        broken += [
            f"{id_} has the {name} from before"
            for id_, renditions in after.items()
            if _named(renditions, name).id == _named(before[id_], name).id
        ]
    jobs["and back"] = shop.run("rebuild", dry_run=False)
    if _ids(_shown(shop)) != _ids(before):
        broken.append("going back did not give every image the renditions from before")
    broken += [*not_completed(jobs), *orphans(shop)]
    if jobs["then, dry run"].done:
        broken.append("after the rebuild, something is left to rebuild")
    old = watch.old
    said = (
        f"{name} was {old.width}x{old.height} and became {new.width}x{new.height} of {len(after)} images; the"
        f" old addresses worked for {watch.seconds:.0f} s more, and no object is left that no record names"
    )
    act = Act(
        "Change a preset",
        "make deploy PRESETS_FILE=..., POST /v1/jobs, kind rebuild",
        side_by_side(jobs),
        "" if broken else said,
        tuple(broken),
    )
    return act, [Change(first, shop.catalog.get(first).document["original_filename"], old, new)]


def other_shape(presets: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The middle preset's name, and the presets with another shape for it: 4:3, or square if it is 4:3."""
    chosen = sorted(presets, key=itemgetter("width"))[len(presets) // 2]
    width = chosen["width"]
    height = width * (_BOX_PARTS - 1) // _BOX_PARTS
    if chosen["height"] == height:
        height = width
    other = chosen | {"height": height, "fit": "cover"}
    return chosen["name"], [other if preset is chosen else preset for preset in presets]


def orphans(shop: Shop) -> list[str]:
    """The shop's rendition objects that no image shows, and the shown ones that are not stored."""
    named = {_key(path) for path in paths(shop.catalog.images())}
    stored = set(shop.stored("RenditionsBucket", "renditions/"))
    return [f"{key} is stored, and no image shows it" for key in sorted(stored - named)] + [
        f"{key} is shown, and not stored" for key in sorted(named - stored)
    ]


@dataclass
class Watch:
    """Watches one image during a rebuild: its old address must work for `seconds` after it is replaced."""

    shop: Shop
    id: str
    old: Rendition
    seconds: float
    broken: list[str] = field(default_factory=list)
    _old_shown_at: float = field(default_factory=time.monotonic)

    def look(self, _: Job) -> None:
        """Record a fault if the old address fails less than `seconds` after the image last showed it."""
        asked = time.monotonic()
        if _named(self.shop.catalog.get(self.id).renditions, self.old.preset).id == self.old.id:
            self._old_shown_at = asked
        works = self._works()
        if not works and time.monotonic() - self._old_shown_at < self.seconds:
            self.broken.append(f"the old address of {self.id} went dark too soon")

    def afterwards(self) -> list[str]:
        """After the rebuild: the fault if the old address still works."""
        return ["the old address works for ever"] if self._works() else []

    def _works(self) -> bool:
        try:
            self.shop.catalog.download(self.old)
        except ApiError:
            return False
        return True


def _shown(shop: Shop) -> dict[str, tuple[Rendition, ...]]:
    """The renditions of each ready image by id; images with renditions of their own come first."""
    ready = sorted(shop.catalog.images(status="ready"), key=lambda image: image.shares_renditions)
    return {image.id: image.renditions for image in ready}


def _ids(shown: Renditions) -> dict[str, set[str]]:
    return {id_: {rendition.id for rendition in renditions} for id_, renditions in shown.items()}


def _named(renditions: Sequence[Rendition], preset: str) -> Rendition:
    return next(rendition for rendition in renditions if rendition.preset == preset)


def _key(path: str) -> str:
    """The object's key in a URL's path, which may begin with the bucket."""
    return path[path.index("/renditions/") + 1 :]
