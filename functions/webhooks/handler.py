"""/v1/webhooks: where a tenant is told of its events."""

from typing import Any

from catalog import settings
from catalog.adapters.clients_table import Clients
from catalog.adapters.queues import WebhooksQueue
from catalog.adapters.sealing import Sealing
from catalog.adapters.webhooks_table import Webhooks
from catalog.api.http import Answer, Api, Call, accepted, created, ok
from catalog.api.inputs.webhooks import check_list, path_webhook, webhook_request
from catalog.api.representations import attempt_json, webhook_json
from catalog.telemetry import count, logger
from catalog.use_cases.webhooks import WebhookAdministration

clients = Clients(settings.clients_table())
webhooks = Webhooks(settings.webhooks_table())
administration = WebhookAdministration(
    webhooks, Sealing(settings.secrets_key_id()), WebhooksQueue(settings.webhooks_queue_url())
)
loopback = settings.webhooks_to_loopback()
# A tenant that is gone puts no webhook from that moment on, so that its erasure leaves none.
app = Api(clients.current_tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("PUT", "/webhooks/<name>")
def put_webhook(call: Call, name: str) -> Answer:
    asked = webhook_request(call.body, loopback=loopback)
    put = administration.put(call.tenant, path_webhook(name), asked)
    audit(call, "webhook put", name, new=put.created)
    count("WebhookPut")
    answer = created if put.created else ok
    return answer(webhook_json(put.webhook) | {"secret": put.secret})


@app.route("GET", "/webhooks")
def get_webhooks(call: Call) -> Answer:
    check_list(call.query)
    return ok({"webhooks": [webhook_json(webhook) for webhook in webhooks.of(call.tenant)]})


@app.route("GET", "/webhooks/<name>")
def get_webhook(call: Call, name: str) -> Answer:
    return ok(webhook_json(webhooks.get(call.tenant, path_webhook(name))))


@app.route("DELETE", "/webhooks/<name>")
def delete_webhook(call: Call, name: str) -> Answer:
    administration.delete(call.tenant, path_webhook(name))
    audit(call, "webhook deleted", name)
    count("WebhookDeleted")
    return ok({"name": name, "status": "deleted"})


@app.route("POST", "/webhooks/<name>/test")
def post_test(call: Call, name: str) -> Answer:
    event_id = administration.test(call.tenant, path_webhook(name))
    count("WebhookTested")
    return accepted({"name": name, "event_id": event_id})


@app.route("GET", "/webhooks/<name>/deliveries")
def get_deliveries(call: Call, name: str) -> Answer:
    webhook = webhooks.get(call.tenant, path_webhook(name))
    return ok({"name": name, "deliveries": [attempt_json(one) for one in webhooks.attempts(webhook)]})


def audit(call: Call, what: str, name: str, **facts: Any) -> None:
    logger.info(what, tenant=call.tenant, webhook=name, by_client=call.client_id, **facts)


handler = app.handler
