"""The options of every kind of job: a module a kind reads its own."""

from collections.abc import Mapping
from typing import Final

from catalog.api.inputs.job_erase import erase_options
from catalog.api.inputs.job_rebuild import rebuild_options
from catalog.api.inputs.jobs import Options, no_options
from catalog.domain.jobs import JobKind

OPTIONS: Final[Mapping[JobKind, Options]] = {
    JobKind.REBUILD: rebuild_options,
    JobKind.IMPORT: no_options,
    JobKind.FIND_DUPLICATES: no_options,
    JobKind.RECOUNT: no_options,
    JobKind.ERASE: erase_options,
}
