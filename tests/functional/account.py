"""One account of moto for all tests of a process, put back before each to what it was when it was made.

Making it takes 0.4 s of processor time, putting it back 2 ms.
"""

from __future__ import annotations

import copy
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.s3.models import FakeKey, FakeMultipart, s3_backends

type Where = tuple[str, str, str]  # service, account, region


def _backends() -> dict[Where, Any]:
    return {
        (service.service_name, account, region): backend
        for service in BackendDict._instances  # type: ignore[misc]
        for account, regions in service.items()
        for region, backend in regions.items()
    }


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """A deep copy that shares the backends themselves, and locks, which no copy can be made of."""
    shared = list(_backends().values())
    shared += [queue._messages_lock for queue in state.get("queues", {}).values()]
    return copy.deepcopy(state, {id(each): each for each in shared})


class Account:
    """What moto holds of every service at this moment, whatever it is: tables, indexes, policies, queues."""

    def __init__(self) -> None:
        assert not FakeKey.instances_tracked, "objects are files, of which no copy is made"
        self._states = {where: _copied(vars(backend)) for where, backend in _backends().items()}
        self._buckets = dict(s3_backends.bucket_accounts)

    def restore(self) -> None:
        """Everything is as it was, and nothing that has been made since is left."""
        for file in (*FakeMultipart.instances_tracked, *FakeKey.instances_tracked):  # type: ignore[attr-defined]
            file.dispose()
        for where, backend in _backends().items():
            if where in self._states:
                vars(backend).clear()
                vars(backend).update(_copied(self._states[where]))
            else:
                backend.reset()
        s3_backends.bucket_accounts.clear()
        s3_backends.bucket_accounts.update(self._buckets)
        reset_model_data()
