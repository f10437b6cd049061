"""Limits a chain of messages by which a function causes itself to run again.

Lambda ends such a chain after about 16 turns unless the function says `RecursiveLoop: Allow`
(docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html), which the template does: the bound is ours.
"""

from typing import Final

# At a purge's 40 seconds each: 11 hours, so a day's chain ends before the next day's begins.
MAX_HOPS: Final = 1_000


class ChainTooLongError(Exception):
    """The chain has reached its limit."""


def next_hop(hops: int) -> int:
    """The hops of a message caused by one with these hops.  Raises ChainTooLongError."""
    if hops >= MAX_HOPS:
        raise ChainTooLongError(f"{hops} messages have followed from one")
    return hops + 1
