"""GET /v1/duplicates: look-alikes.  PUT, DELETE /v1/images/{id}/duplicates/{other}: a person's word."""

from datetime import UTC, datetime
from typing import Any

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.groups import Groups
from catalog.adapters.objects import Renditions
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.queues import RenderQueue
from catalog.api.http import Answer, Api, Call, listed, ok
from catalog.api.inputs.pairs import decision_request, pair_in_path, pairs_request
from catalog.api.representations import pair_json
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Pair
from catalog.telemetry import count, logger
from catalog.use_cases.browsing import list_pairs
from catalog.use_cases.decisions import Deciding, as_it_is, decide, undo

clients = Clients(settings.clients_table())
assets = Assets(settings.assets_table())
pairs = Pairs(settings.pairs_table())
renditions = Renditions(settings.renditions_bucket(), base_url=settings.renditions_base_url())
deciding = Deciding(
    assets=assets,
    pairs=pairs,
    groups=Groups(settings.assets_table(), settings.pairs_table()),
    queue=RenderQueue(settings.render_queue_url()),
    action=settings.near_duplicate_action(),
    presets=settings.presets(),
    presets_per_job=settings.presets_per_job(),
)
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/duplicates")
def get_duplicates(call: Call) -> Answer:
    asked = pairs_request(call.query)
    page = list_pairs(call.tenant, asked.page, verdict=asked.likeness, pairs=pairs, assets=assets)
    count("PageRead")

    def shown(pair: Pair) -> dict[str, Any]:
        return pair_json(as_it_is(pair, page.assets, deciding=deciding), page.assets, url_of=renditions.url)

    return listed("duplicates", page.pairs.map(shown))


@app.route("PUT", "/images/<id_>/duplicates/<other>")
def put_decision(call: Call, id_: str, other: str) -> Answer:
    key, second = pair_named(call, id_, other)
    decision = decision_request(call.body)
    decided = decide(key, second, decision, by=call.client_id, deciding=deciding, now=datetime.now(UTC))
    logger.info("decided", tenant=key.tenant, asset_id=key.id, other=second, decision=decision)
    count("PairDecided")
    return ok(pair_json(decided, assets.many(key.tenant, [key.id, second]), url_of=renditions.url))


@app.route("DELETE", "/images/<id_>/duplicates/<other>")
def delete_decision(call: Call, id_: str, other: str) -> Answer:
    key, second = pair_named(call, id_, other)
    decided = undo(key, second, deciding=deciding, now=datetime.now(UTC))
    logger.info("decision undone", tenant=key.tenant, asset_id=key.id, other=second)
    count("DecisionUndone")
    return ok(pair_json(decided, assets.many(key.tenant, [key.id, second]), url_of=renditions.url))


def pair_named(call: Call, id_: str, other: str) -> tuple[AssetKey, AssetId]:
    first, second = pair_in_path(id_, other)
    return AssetKey(call.tenant, first), second


handler = app.handler
