"""Which functions learn where the emulator's CloudFront answers, and what they are told."""

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from infra.local.cdn import complete_cdn, local_address, localhost_names

DOMAIN = "d111abc.cloudfront.net"
DEPLOYED = {"RENDITIONS_BASE_URL": f"https://{DOMAIN}", "ASSETS_TABLE": "assets"}


@dataclass
class Functions:
    """Lambda, as far as it is asked: two functions a page."""

    variables: dict[str, Mapping[str, str] | None]
    changed: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def get_paginator(self, operation: str) -> "Functions":
        assert operation == "list_functions"
        return self

    def paginate(self) -> Iterator[Mapping[str, Any]]:
        listed = [
            {"FunctionName": name} | ({} if told is None else {"Environment": {"Variables": told}})
            for name, told in self.variables.items()
        ]
        for start in range(0, len(listed), 2):
            yield {"Functions": listed[start : start + 2]}

    def update_function_configuration(self, FunctionName: str, Environment: Mapping[str, Any]) -> None:  # noqa: N803 - Lambda's
        self.changed[FunctionName] = Environment["Variables"]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4577", "http://localhost:4577"])
def test_the_address_is_a_name_that_browsers_find_on_this_machine_at_the_emulators_port(
    endpoint: str,
) -> None:
    address = urlsplit(local_address(DOMAIN, endpoint))

    assert (address.scheme, address.netloc) == ("http", "d111abc.cloudfront.localhost:4577")
    assert (address.path, address.query) == ("", "")  # paths of renditions follow


def test_every_function_of_the_distribution_is_told_on_whatever_page_of_the_list_and_keeps_the_rest() -> None:
    functions = Functions({"get": DEPLOYED, "other": {"TABLE": "x"}, "list": DEPLOYED, "usage": DEPLOYED})

    address = complete_cdn(DOMAIN, "http://127.0.0.1:4577", functions=functions)

    told = {"RENDITIONS_BASE_URL": address, "ASSETS_TABLE": "assets"}
    assert functions.changed == {"get": told, "list": told, "usage": told}


@pytest.mark.parametrize(
    "variables",
    [
        None,
        {},
        {"RENDITIONS_BASE_URL": ""},
        {"RENDITIONS_BASE_URL": "https://d222abc.cloudfront.net"},  # of another stack
        {"RENDITIONS_BASE_URL": "https://images.shop.example"},  # an own domain
        {"RENDITIONS_BASE_URL": local_address(DOMAIN, "http://127.0.0.1:4577")},  # told already
    ],
)
def test_no_other_function_is_changed(variables: Mapping[str, str] | None) -> None:
    functions = Functions({"any": variables})

    complete_cdn(DOMAIN, "http://127.0.0.1:4577", functions=functions)

    assert functions.changed == {}


def test_a_name_below_localhost_is_this_machine_and_every_other_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *question, **_: asked.append(question))

    with localhost_names():
        for name in ("d111abc.cloudfront.localhost", "D111.Localhost", "localhost", "notlocalhost", None):
            socket.getaddrinfo(name, 4577)
    socket.getaddrinfo("d111abc.cloudfront.localhost", 4577)

    hosts = [host for host, _ in asked]
    assert hosts[:5] == ["127.0.0.1", "127.0.0.1", "localhost", "notlocalhost", None]
    assert hosts[5:] == ["d111abc.cloudfront.localhost"]
