"""How long a chain of messages may be in which a function causes itself to run again.

Lambda ends such a chain after about 16 turns unless the function says `RecursiveLoop: Allow`
(docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html), which the template does: the bound is ours.
"""

from typing import Final

# Of a purge's 40 seconds each: 11 hours, so that a day's chain has ended when the next day's begins.
MAX_HOPS: Final = 1_000


class ChainTooLongError(Exception):
    """A message that would be the one after the last of its chain."""


def next_hop(hops: int) -> int:
    """The place in its chain of a message that one in this place causes.  Raises ChainTooLongError."""
    if hops >= MAX_HOPS:
        raise ChainTooLongError(f"{hops} messages have followed from one")
    return hops + 1
