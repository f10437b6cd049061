"""GET /v1/images: a page of the tenant's assets, newest first, or those named."""

from functools import partial

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.api.http import Answer, Api, Call, listed
from catalog.api.inputs.images import list_request
from catalog.api.representations import listed_json
from catalog.composition import viewing
from catalog.telemetry import count

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = viewing.renditions()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/images")
def get_images(call: Call) -> Answer:
    asked = list_request(call.query)
    if asked.ids:
        page = assets.named(call.tenant, asked.ids, asked.page.cursor)
    else:
        page = assets.page(call.tenant, asked.page, status=asked.status)
    count("PageRead")
    return listed("images", page.map(partial(listed_json, urls=renditions)))


handler = app.handler
