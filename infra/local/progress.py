"""How far something has come: a live bar on a terminal, otherwise a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_PLAIN_STEP_SECONDS: Final = 5.0  # between two lines where there is no terminal


@contextmanager
def progress(
    console: Console, what: str, *, total: int | None = None, starting: str = ""
) -> Iterator[Callable[[int, int | None], None]]:
    """Yields a function to say how many of how many are done; what they are is `what`.

    Until it is called, `starting` says what is waited for.
    """
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(starting or what, total=total)
            yield lambda done, of: bar.update(task, completed=done, total=of, description=what)
        return
    if starting:
        console.print(f"  {starting}")
    started = last = time.monotonic()
    said = -1

    def say(done: int, of: int | None) -> None:
        nonlocal last, said
        now = time.monotonic()
        if done != said and (done == of or now - last >= _PLAIN_STEP_SECONDS):
            last, said = now, done
            console.print(f"  {done} of {of} {what}, {now - started:.0f} s", highlight=False)

    yield say
