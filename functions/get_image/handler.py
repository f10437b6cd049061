"""GET /v1/images/{id}: one asset, with URLs of its renditions.  GET /v1/view-pass: what shows them."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.api.http import Answer, Api, Call, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.representations import image_json, pass_json
from catalog.composition import viewing
from catalog.domain.keys import AssetKey
from catalog.telemetry import count

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = viewing.renditions()
viewers = viewing.viewers()
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/images/<id_>")
def get_image(call: Call, id_: str) -> Answer:
    asset = assets.get(AssetKey(call.tenant, path_asset_id(id_)))
    count("ImageRead")
    return ok(image_json(asset, urls=renditions))


@app.route("GET", "/view-pass")
def get_view_pass(call: Call) -> Answer:
    count("ViewPassGiven")
    return ok(pass_json(viewers.pass_for(call.tenant) if viewers else None))


handler = app.handler
