"""Routes of /v1/jobs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.api.inputs.fields import (
    Fault,
    InvalidRequestError,
    is_tenant_id,
    json_object,
    unknown_fields,
)
from catalog.domain.jobs import JobKind
from catalog.domain.keys import TenantId, tenant_id

# The options of each kind: given are the body's fields that every job does not have.  A module a kind.
type Options = Callable[[Mapping[str, Any], list[Fault]], Mapping[str, Any]]

EVERY_TENANT: Final = "*"
MOST_WORKERS: Final = 100
_OF_EVERY_KIND: Final = frozenset({"kind", "tenant", "dry_run", "concurrency", "confirm_token"})
_ABOUT_ALL: Final = frozenset({JobKind.REBUILD, JobKind.FIND_DUPLICATES, JobKind.RECOUNT})
_JOB_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to start.  `tenant` None: every tenant.  `confirm_token` is that of a dry run, to erase."""

    kind: JobKind
    tenant: TenantId | None
    dry_run: bool
    concurrency: int | None
    confirm_token: str | None
    options: Mapping[str, Any]


def job_request(body: str | None, options: Mapping[JobKind, Options]) -> JobRequest:
    """The body of POST /v1/jobs.  Raises InvalidRequestError."""
    given = json_object(body)
    faults: list[Fault] = []
    kind, tenant = given.get("kind"), given.get("tenant")
    if not isinstance(kind, str) or kind not in list(options):
        raise InvalidRequestError([Fault("kind", f"must be one of {', '.join(options)}")])
    kind = JobKind(kind)
    if not (is_tenant_id(tenant) or (tenant == EVERY_TENANT and kind in _ABOUT_ALL)):
        faults.append(Fault("tenant", _tenant_rule(kind)))
    dry_run, workers = given.get("dry_run", True), given.get("concurrency")
    if not isinstance(dry_run, bool):
        faults.append(Fault("dry_run", "must be true or false"))
    if workers is not None and not (type(workers) is int and 1 <= workers <= MOST_WORKERS):
        faults.append(Fault("concurrency", f"must be a whole number from 1 to {MOST_WORKERS}"))
    token = _token(kind, given, dry_run, faults)
    own = {name: value for name, value in given.items() if name not in _OF_EVERY_KIND}
    read = options[kind](own, faults)
    if faults:
        raise InvalidRequestError(faults)
    about = None if tenant == EVERY_TENANT else tenant_id(str(tenant))
    return JobRequest(kind, about, dry_run, workers, token, read)


def no_options(given: Mapping[str, Any], faults: list[Fault]) -> Mapping[str, Any]:
    """For a kind that has none."""
    faults.extend(unknown_fields(given, frozenset()))
    return {}


def path_job_id(text: str) -> str:
    """The job in a path.  Raises InvalidRequestError."""
    if not _JOB_ID.fullmatch(text):
        raise InvalidRequestError([Fault("id", "must be 1 to 64 letters, digits and hyphens")])
    return text


def _tenant_rule(kind: JobKind) -> str:
    return 'must be a tenant id, or "*" for every tenant' if kind in _ABOUT_ALL else "must be a tenant id"


def _token(kind: JobKind, given: Mapping[str, Any], dry_run: object, faults: list[Fault]) -> str | None:
    token = given.get("confirm_token")
    if token is not None and not isinstance(token, str):
        faults.append(Fault("confirm_token", "must be the token of a dry run"))
        return None
    wanted = kind is JobKind.ERASE and dry_run is False
    if wanted and token is None:
        faults.append(Fault("confirm_token", "is needed to erase: a dry run gives one"))
    if not wanted and token is not None:
        faults.append(Fault("confirm_token", "confirms nothing here"))
    return token
