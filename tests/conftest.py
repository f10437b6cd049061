"""What every test needs before the first module of ours is imported."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

# Powertools reads these when its logger and metrics are made, once a process, whichever test comes first.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "catalog-images")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "CatalogImagePipeline")

# No example has a deadline, and drawing one may be slow: how long it takes is a fact of the machine.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")
# By default hypothesis also draws constants of the modules that are loaded.  These differ between the workers
# of a run, so that even derandomized tests would draw other examples in each.
providers._get_local_constants = Constants
# For the nights: what asks for it runs for hours instead of a minute, in an order of its own each time.
settings.register_profile("long", settings.get_profile("default"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A name with an address differs between workers, which then run nothing."""
    for item in items:
        assert " at 0x" not in item.nodeid, f"name the parameters of {item.nodeid}"
