"""GET /v1/duplicates: look-alikes.  PUT, DELETE /v1/images/{id}/duplicates/{other}: a person's word."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.assets_table import Assets
from catalog.adapters.clients_table import Clients
from catalog.adapters.groups import Groups
from catalog.adapters.objects import Renditions
from catalog.adapters.pairs_table import Pairs
from catalog.adapters.queues import RenderQueue
from catalog.api.http import api, body_text, client_id, listed, ok
from catalog.api.inputs.pairs import decision_request, pair_in_path, pairs_request
from catalog.api.representations import pair_json
from catalog.domain.keys import AssetId, AssetKey
from catalog.domain.near_duplicates import Pair
from catalog.telemetry import count, logger, metrics
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
app = api(allow_origin=settings.cors_allow_origin())


@app.get("/duplicates")
def get_duplicates() -> Response[str]:
    tenant = clients.tenant_of(client_id(app))
    asked = pairs_request(app.current_event.query_string_parameters or {})
    page = list_pairs(tenant, asked.page, verdict=asked.likeness, pairs=pairs, assets=assets)
    count("PageRead")

    def shown(pair: Pair) -> dict[str, Any]:
        return pair_json(as_it_is(pair, page.assets, deciding=deciding), page.assets, url_of=renditions.url)

    return listed("duplicates", page.pairs.map(shown))


@app.put("/images/<id_>/duplicates/<other>")
def put_decision(id_: str, other: str) -> Response[str]:
    key, second = pair_named(id_, other)
    decision = decision_request(body_text(app))
    decided = decide(key, second, decision, by=client_id(app), deciding=deciding, now=datetime.now(UTC))
    logger.info("decided", tenant=key.tenant, asset_id=key.id, other=second, decision=decision)
    count("PairDecided")
    return ok(pair_json(decided, assets.many(key.tenant, [key.id, second]), url_of=renditions.url))


@app.delete("/images/<id_>/duplicates/<other>")
def delete_decision(id_: str, other: str) -> Response[str]:
    key, second = pair_named(id_, other)
    decided = undo(key, second, deciding=deciding, now=datetime.now(UTC))
    logger.info("decision undone", tenant=key.tenant, asset_id=key.id, other=second)
    count("DecisionUndone")
    return ok(pair_json(decided, assets.many(key.tenant, [key.id, second]), url_of=renditions.url))


def pair_named(id_: str, other: str) -> tuple[AssetKey, AssetId]:
    tenant = clients.tenant_of(client_id(app))
    first, second = pair_in_path(id_, other)
    return AssetKey(tenant, first), second


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
