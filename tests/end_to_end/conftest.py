"""One deployment for all end-to-end tests, stopped at the end; its state is thrown away before it starts."""

import shutil
from collections.abc import Iterator

import pytest

from catalog.adapters import sdk
from catalog.domain.tenants import Scope
from catalog_images import CatalogClient
from infra.local import environments
from infra.local.deploy import ensure_deployed
from infra.local.emulator import Emulator
from tests.end_to_end.deployment import Deployment

EMULATOR = Emulator(port=4577, name="end-to-end", account="000000000077")


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    environments.ensure("sam", "emulator")
    EMULATOR.down()
    shutil.rmtree(EMULATOR.folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch, EMULATOR.running():
        for name, value in EMULATOR.credentials.items():
            patch.setenv(name, value)
        sdk.client.cache_clear()
        sdk._session.cache_clear()
        yield Deployment(ensure_deployed(EMULATOR))
        sdk.client.cache_clear()
        sdk._session.cache_clear()


@pytest.fixture(scope="session")
def acme(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("acme") as client:
        yield client


@pytest.fixture(scope="session")
def second_of_acme(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("acme") as client:
        yield client


@pytest.fixture(scope="session")
def globex(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("globex") as client:
        yield client


@pytest.fixture(scope="session")
def reader(deployment: Deployment) -> Iterator[CatalogClient]:
    with deployment.client("acme", Scope.READ) as client:
        yield client
