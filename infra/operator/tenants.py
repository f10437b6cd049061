"""Give a tenant a client: OAuth 2 credentials for that tenant's catalog only.

    python -m infra.operator.tenants create acme --stack catalog-images [--scope catalog/read ...]

The first administrator comes from here: a client with `--scope catalog/admin` makes tenants through the API.
Needs the operator's AWS credentials (or AWS_ENDPOINT_URL, for the embedded stack).  Prints one JSON object:
`tenant, client_id, client_secret, scopes`.  The secret is shown this once.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence

import boto3

from catalog.adapters.clients_table import Clients
from catalog.adapters.identity import IdentityProvider
from catalog.adapters.tenants_table import Tenants
from catalog.api.representations import credentials_json
from catalog.domain.keys import tenant_id
from catalog.domain.tenants import DEFAULT_SCOPES, ClientCredentials, Scope, TenantBeingRemovedError
from catalog.use_cases.tenants import ClientAdministration
from infra.operator.commands import refusals


def stack_outputs(stack: str) -> dict[str, str]:
    """The outputs of a deployed stack, by name.  Raises botocore's ClientError if there is none."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def create_tenant_client(
    tenant: str, *, scopes: Sequence[Scope], outputs: Mapping[str, str]
) -> ClientCredentials:
    """Make a client of `tenant`, and the tenant if it is new, in the deployment with these outputs.

    Raises NotATenantIdError, TenantBeingRemovedError.
    """
    administration = ClientAdministration(
        Tenants(outputs["TenantsTable"]),
        IdentityProvider(outputs["UserPoolId"]),
        Clients(outputs["ClientsTable"]),
    )
    return administration.add_with_tenant(tenant_id(tenant), scopes)


def main() -> None:
    parser = argparse.ArgumentParser(description="Give a tenant a client of the catalog API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a client, and its tenant if there is none")
    create.add_argument("tenant", help="1 to 63 of a-z, 0-9 and inner hyphens")
    create.add_argument("--stack", required=True, help="name of the deployed stack")
    create.add_argument(
        "--scope", action="append", type=Scope, choices=list(Scope), help="default: read and write"
    )
    chosen = parser.parse_args()
    with refusals():
        try:
            credentials = create_tenant_client(
                chosen.tenant, scopes=chosen.scope or DEFAULT_SCOPES, outputs=stack_outputs(chosen.stack)
            )
        except TenantBeingRemovedError:
            sys.exit(f"error: the tenant {chosen.tenant} is being removed")
    print(json.dumps(credentials_json(credentials)))


if __name__ == "__main__":
    main()
