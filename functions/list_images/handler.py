"""GET /v1/images: the tenant's assets, newest first; those named; or those of a reference or a filename."""

from functools import partial

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.references_table import References
from catalog.api.http import Answer, Api, Call, listed
from catalog.api.inputs.images import ListRequest, list_request
from catalog.api.representations import found_json, listed_json
from catalog.composition import viewing
from catalog.domain.assets import Asset
from catalog.domain.keys import TenantId
from catalog.domain.paging import Page
from catalog.telemetry import count
from catalog.use_cases.lookup import Lookup

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
lookup = Lookup(assets, References(settings.references_table(), settings.assets_table()))
renditions = viewing.renditions()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/images")
def get_images(call: Call) -> Answer:
    asked = list_request(call.query)
    count("PageRead")
    if asked.reference is not None:
        found = lookup.by_reference(call.tenant, asked.page, asked.reference, exact=asked.exact)
        return listed("images", found.map(partial(found_json, urls=renditions)))
    return listed("images", _page(call.tenant, asked).map(partial(listed_json, urls=renditions)))


def _page(tenant: TenantId, asked: ListRequest) -> Page[Asset]:
    if asked.ids:
        return assets.named(tenant, asked.ids, asked.page.cursor)
    if asked.filename is not None:
        return assets.of_filename(tenant, asked.page, asked.filename)
    return assets.page(tenant, asked.page, status=asked.status)


handler = app.handler
