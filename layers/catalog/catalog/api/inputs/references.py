"""The reference in a path."""

from urllib.parse import unquote

from catalog.api.inputs.fields import Fault, InvalidRequestError
from catalog.domain.references import RULE, NotAReferenceError, reference_name


def path_reference(text: str) -> str:
    """The name of a reference from the rest of a path, percent-encoded or decoded already.

    Raises InvalidRequestError.
    """
    try:
        return reference_name(unquote(text))
    except NotAReferenceError as error:
        raise InvalidRequestError([Fault("reference", RULE)]) from error
