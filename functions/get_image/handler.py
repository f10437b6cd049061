"""GET /v1/images/{id}: one asset, with URLs of its renditions."""

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.objects import Renditions
from catalog.api.http import Answer, Api, Call, ok
from catalog.api.inputs.images import path_asset_id
from catalog.api.representations import image_json
from catalog.domain.keys import AssetKey
from catalog.telemetry import count

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/images/<id_>")
def get_image(call: Call, id_: str) -> Answer:
    asset = assets.get(AssetKey(call.tenant, path_asset_id(id_)))
    count("ImageRead")
    return ok(image_json(asset, urls=renditions))


handler = app.handler
