"""Tenants and the clients that act for them."""

from dataclasses import dataclass
from enum import StrEnum

from catalog.domain.keys import TenantId


class Scope(StrEnum):
    """What a client may ask for; API Gateway checks them against the token."""

    READ = "catalog/read"
    WRITE = "catalog/write"
    ADMIN = "catalog/admin"


class UnknownClientError(LookupError):
    """A valid token whose client belongs to no tenant."""


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth 2 client and the one tenant it acts for."""

    client_id: str
    tenant: TenantId


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A new client with its secret, which is shown this once and stored by the identity provider only."""

    client: Client
    client_secret: str
    scopes: tuple[Scope, ...]
