"""Cognito: the clients of tenants and their credentials."""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from catalog.adapters.sdk import client
from catalog.domain.keys import TenantId
from catalog.domain.tenants import Client, ClientCredentials, Scope


class IdentityProvider:
    """A Cognito user pool with the resource server `catalog`; clients use the client-credentials grant."""

    def __init__(self, user_pool_id: str) -> None:
        self._pool = user_pool_id

    def create_client(self, tenant: TenantId, scopes: Sequence[Scope]) -> ClientCredentials:
        """A new client with a secret that only Cognito keeps.  Every call creates another one."""
        created = client("cognito-idp").create_user_pool_client(
            UserPoolId=self._pool,
            ClientName=f"catalog-{tenant}",
            GenerateSecret=True,
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthScopes=list(scopes),
            SupportedIdentityProviders=["COGNITO"],
        )["UserPoolClient"]
        return ClientCredentials(Client(created["ClientId"], tenant), created["ClientSecret"], tuple(scopes))

    def delete_client(self, gone: Client) -> None:
        """Delete the client.  A token it holds is valid for up to an hour.  Repeating this changes
        nothing.
        """
        try:
            client("cognito-idp").delete_user_pool_client(UserPoolId=self._pool, ClientId=gone.client_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
