"""What moto and botocore work out anew for every call is worked out once a process, or in fewer steps."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.useragent
import moto.core.responses
import pytest
from botocore.loaders import JSONFileLoader
from moto.core.serialize import AttributePickerContext, BaseJSONSerializer, XFormedAttributePicker
from moto.dynamodb.parsing import validators
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node
from moto.dynamodb.parsing.expressions import UpdateExpressionParser


@contextmanager
def answers_worked_out_once() -> Iterator[None]:
    """Saves a third of the processor time of a long test, and changes no answer (test_quick)."""
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
        _quick_updates(patch)
        structure = BaseJSONSerializer._serialize_type_structure
        patch.setattr(BaseJSONSerializer, "_serialize_type_structure", _values_as_they_are(structure))
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


# --- Update expressions -----------------------------------------------------------------------------------


def _quick_updates(patch: pytest.MonkeyPatch) -> None:
    """A text is parsed once, trees are copied as bytes, and the root is checked once for all its parts."""
    parse = UpdateExpressionParser.make
    parsed = cache(lambda text: pickle.dumps(parse(text)))
    patch.setattr(UpdateExpressionParser, "make", staticmethod(lambda text: pickle.loads(parsed(text))))  # noqa: S301
    patch.setattr(validators, "deepcopy", lambda tree: pickle.loads(pickle.dumps(tree)))  # noqa: S301
    patch.setattr(DepthFirstTraverser, "traverse_node_recursively", _traverse)
    for validator, name in (
        (validators.ActionCountValidator, "verify_action_counts"),
        (validators.OverlappingPathsValidator, "check_for_overlapping_paths"),
    ):
        patch.setattr(validator, name, _of_the_root(getattr(validator, name)))


_is_node = cache(lambda kind: issubclass(kind, Node))
_processed: dict[tuple[type, type], bool] = {}


def _traverse(self: DepthFirstTraverser, node: Any, child_id: int = -1) -> Any:
    """As moto's, which asks every node for its abstract classes anew."""
    kind = type(node)
    if not _is_node(kind):
        return node
    parent = node.parent
    for number, child in enumerate(node.children or ()):
        self.pre_processing_of_child(node, number)
        _traverse(self, child, number)
    known = (type(self), kind)
    if known not in _processed:
        _processed[known] = issubclass(kind, self.nodes_to_be_processed())
    if _processed[known]:
        node = self.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


def _of_the_root(check: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, node: check(self, node) if node.parent is None else node


# --- Answers ----------------------------------------------------------------------------------------------


def _values_as_they_are(structure: Callable[..., None]) -> Callable[..., None]:
    """DynamoDB's values are JSON already; moto looks for each of the ten types in each of them."""

    def serialize(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
        plain = _plain(value) if key and shape.name == "AttributeValue" else None
        if plain is None:
            structure(self, serialized, value, shape, key)
        else:
            self._default_serialize(serialized, plain, shape, key)

    return serialize


def _plain(value: Any) -> dict[str, Any] | None:
    """The value, copied; None if it has to be serialized, such as bytes."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((kind, held),) = value.items()
    plain: Any = None
    match kind:
        case "S" | "N" if type(held) is str:
            plain = held
        case "BOOL" | "NULL" if type(held) is bool:
            plain = held
        case "SS" | "NS" if all(type(each) is str for each in held):
            plain = list(held)
        case "M":
            plain = {name: _plain(each) for name, each in held.items()}
            plain = None if None in plain.values() else plain
        case "L":
            plain = [_plain(each) for each in held]
            plain = None if None in plain else plain
    return None if plain is None else {kind: plain}
