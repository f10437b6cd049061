"""GET /v1/duplicates: look-alikes.  PUT, DELETE /v1/images/{id}/duplicates/{other}: a person's decision."""

from typing import Any

from catalog import settings
from catalog.adapters.clients_table import Clients
from catalog.api.http import Answer, Api, Call, listed, ok
from catalog.api.inputs.pairs import decision_request, pair_in_path, pairs_request
from catalog.api.representations import pair_json
from catalog.composition import deciding, viewing
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Pair
from catalog.telemetry import count, logger
from catalog.use_cases.browsing import Browsing
from catalog.use_cases.decisions import Decided

clients = Clients(settings.clients_table())
renditions = viewing.renditions()
decisions = deciding.decisions()
browsing = Browsing(decisions.pairs, decisions.assets)
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/duplicates")
def get_duplicates(call: Call) -> Answer:
    asked = pairs_request(call.query)
    page = browsing.list_pairs(call.tenant, asked.page, verdict=asked.likeness)
    count("PageRead")

    def described(pair: Pair) -> dict[str, Any]:
        return pair_json(decisions.describe(pair, page.assets), page.assets, urls=renditions)

    return listed("duplicates", page.pairs.map(described))


@app.route("PUT", "/images/<id_>/duplicates/<other>")
def put_decision(call: Call, id_: str, other: str) -> Answer:
    key, second = pair_named(call, id_, other)
    decision = decision_request(call.body)
    decided = decisions.decide(key, second, decision, by=call.client_id)
    logger.info("decided", tenant=key.tenant, asset_id=key.id, other=second, decision=decision)
    count("PairDecided")
    return ok(shown(decided))


@app.route("DELETE", "/images/<id_>/duplicates/<other>")
def delete_decision(call: Call, id_: str, other: str) -> Answer:
    key, second = pair_named(call, id_, other)
    decided = decisions.undo(key, second)
    logger.info("decision undone", tenant=key.tenant, asset_id=key.id, other=second)
    count("DecisionUndone")
    return ok(shown(decided))


def pair_named(call: Call, id_: str, other: str) -> tuple[AssetKey, AssetId]:
    first, second = pair_in_path(id_, other)
    return AssetKey(call.tenant, first), second


def shown(decided: Decided) -> dict[str, Any]:
    pair = decided.pair
    named = decisions.assets.many(pair.tenant, [pair.first, pair.second])
    return pair_json(decided, named, urls=renditions)


handler = app.handler
