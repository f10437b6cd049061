"""GET /v1/metrics: what a tenant has stored and been spared; of other tenants for administrators."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from catalog import settings
from catalog.adapters.clients_table import Clients
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import api, client_id, ok, scopes
from catalog.api.inputs.metrics import metrics_request
from catalog.api.representations import metrics_json
from catalog.domain.tenants import Scope
from catalog.telemetry import count, logger, metrics
from catalog.use_cases.metrics import Metrics

clients = Clients(settings.clients_table())
usage = Metrics(tenants=Tenants(settings.tenants_table()), counters=Counters(settings.usage_table()))
app = api(allow_origin=settings.cors_allow_origin())


@app.get("/metrics")
def get_metrics() -> Response[str]:
    admin = Scope.ADMIN in scopes(app)
    own = clients.current_tenant_of(client_id(app)) if admin else clients.tenant_of(client_id(app))
    asked = metrics_request(app.current_event.query_string_parameters or {})
    if asked.every_tenant:
        found = usage.of_every_tenant(is_admin=admin)
    else:
        found = usage.of(asked.tenant or own, own=own, is_admin=admin)
    count("MetricsRead")
    return ok(metrics_json(found))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
