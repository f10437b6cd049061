"""What plans the jobs of each kind, for the planner."""

from collections.abc import Mapping

from catalog.domain.jobs import JobKind, Steps


def steps() -> Mapping[JobKind, Steps]:
    return {}
