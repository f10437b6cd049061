"""The rest of the API: each act shows a part of it on the demo's photos, by public calls.

The demo's tenant only gets references.  Images to merge or delete belong to a second tenant, which every tour
empties first.
"""

from collections.abc import Callable, Iterator, Sequence

from catalog_images import CatalogClient
from infra.local.contact_sheet import Change
from infra.local.photos import Photo
from infra.local.report import End, Row
from infra.local.tour.acts import Act
from infra.local.tour.comparing import comparison, showpieces
from infra.local.tour.jobs import Shop
from infra.local.tour.likeness import near_duplicates
from infra.local.tour.metrics import usage
from infra.local.tour.moving_in import moving_in
from infra.local.tour.presets import change_of_a_preset
from infra.local.tour.purging import empty, purge
from infra.local.tour.referring import references


def tour(
    demo: CatalogClient, cleanup: CatalogClient, *, rows: Sequence[Row], photos: Sequence[Photo]
) -> Iterator[Act]:
    """Every act, as soon as it is done; without a ready photo only the acts that need none.

    `cleanup` needs the scope catalog/admin.  Raises CatalogError.
    """
    ready = [row for row in rows if row.end is End.READY]
    if ready:
        yield references(demo, ready)
    empty(cleanup)
    if best := showpieces(ready, photos):
        yield comparison(demo, best[0])
        yield near_duplicates(cleanup, best)
    yield purge(cleanup)
    yield usage({"demo": demo, "demo-cleanup": cleanup})


def catalog_jobs(
    shop: Shop, photos: Sequence[Photo], write: Callable[[list[Change]], object]
) -> Iterator[Act]:
    """The acts about a whole catalog.  `write` gets the changes that a changed preset made.

    Raises CatalogError and DeploymentError.
    """
    yield moving_in(shop, photos)
    if any(shop.catalog.images(status="ready")):
        act, changes = change_of_a_preset(shop)
        write(changes)
        yield act
