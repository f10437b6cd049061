"""What moto and botocore work out anew for every call is worked out once a process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.useragent
import moto.core.responses
import pytest
from botocore.loaders import JSONFileLoader
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker


@contextmanager
def answers_worked_out_once() -> Iterator[None]:
    """Saves a tenth of the processor time of a long test, and changes no answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", cache(JSONFileLoader.load_file))
        for module, name in (
            (moto.core.responses, "camelcase_to_underscores"),
            (moto.core.responses, "method_names_from_class"),
            (botocore.useragent, "sanitize_user_agent_string_component"),
        ):
            patch.setattr(module, name, cache(getattr(module, name)))
        keys = XFormedAttributePicker.get_possible_keys
        patch.setattr(XFormedAttributePicker, "get_possible_keys", _once_a_member(keys))
        yield


def _once_a_member(possible_keys: Callable[..., Any]) -> Callable[..., tuple[str, ...]]:
    """Where moto looks for a member of an answer: by the model's shapes and the class that holds it."""
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def keys(self: XFormedAttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
        shape, service = context.shape, context.service_model
        parent = getattr(shape, "parent", None)
        member = (
            *(service and service.service_name, parent and parent.name, shape and shape.name),
            *(context.key, type(context.obj)),
        )
        if member not in known:
            known[member] = tuple(dict.fromkeys(possible_keys(self, context)))
        return known[member]

    return keys
