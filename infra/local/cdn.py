"""Where the emulator's CloudFront answers.

AWS resolves the distribution's own name.  Here it is `<label>.cloudfront.localhost`, and the functions are
told so after a deployment.  Browsers and curl find it on this machine; Python does `with localhost_names()`.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

VARIABLE = "RENDITIONS_BASE_URL"


def local_address(domain: str, endpoint: str) -> str:
    """That of a distribution's domain (`d111.cloudfront.net`) behind the emulator's endpoint."""
    label, _, _ = domain.partition(".")
    return f"http://{label}.cloudfront.localhost:{endpoint.rpartition(':')[2]}"


def complete_cdn(domain: str, endpoint: str, *, functions: Any) -> str:
    """Tell the functions of this distribution its local address.  Returns it."""
    address = local_address(domain, endpoint)
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            variables = function.get("Environment", {}).get("Variables", {})
            if variables.get(VARIABLE) == f"https://{domain}":
                functions.update_function_configuration(
                    FunctionName=function["FunctionName"],
                    Environment={"Variables": variables | {VARIABLE: address}},
                )
    return address


@contextmanager
def localhost_names() -> Iterator[None]:
    """Find names below .localhost on this machine (RFC 6761, 6.3); the C library asks a name server."""
    find = socket.getaddrinfo

    def find_here(host: Any, *rest: Any, **options: Any) -> Any:
        here = isinstance(host, str) and host.lower().endswith(".localhost")
        return find("127.0.0.1" if here else host, *rest, **options)

    socket.getaddrinfo = find_here
    try:
        yield
    finally:
        socket.getaddrinfo = find
