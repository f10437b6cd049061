"""GET /v1/metrics: storage used and saved, of the caller or, for administrators, of other tenants."""

from catalog import settings
from catalog.adapters.clients_table import Clients
from catalog.adapters.tenants_table import Tenants
from catalog.adapters.usage_table import Counters
from catalog.api.http import Answer, Api, Call, ok
from catalog.api.inputs.metrics import metrics_request
from catalog.api.representations import metrics_json
from catalog.domain.tenants import Scope
from catalog.telemetry import count
from catalog.use_cases.metrics import Metrics

clients = Clients(settings.clients_table())
usage = Metrics(tenants=Tenants(settings.tenants_table()), counters=Counters(settings.usage_table()))
app = Api(clients.tenant_of, allow_origin=settings.cors_allow_origin())


@app.route("GET", "/metrics")
def get_metrics(call: Call) -> Answer:
    admin = Scope.ADMIN in call.scopes
    own = clients.current_tenant_of(call.client_id) if admin else call.tenant
    asked = metrics_request(call.query)
    if asked.every_tenant:
        found = usage.of_every_tenant(is_admin=admin)
    else:
        found = usage.of(asked.tenant or own, own=own, is_admin=admin)
    count("MetricsRead")
    return ok(metrics_json(found))


handler = app.handler
