"""Where the emulator's CloudFront answers.

AWS resolves the distribution's own name.  Here it is `<label>.cloudfront.localhost`, which browsers find on
this machine, and the functions are told so after a deployment.
"""

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
