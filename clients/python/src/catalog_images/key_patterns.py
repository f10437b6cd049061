"""Patterns for the keys of foreign objects, such as `products/{reference}/{filename}`.

A pattern is a template, not a regular expression: matching takes linear time in the key's length.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

LONGEST_PATTERN: Final = 256  # characters
_MOST_PLACES: Final = 8
_PLACE: Final = re.compile(r"\{(\w+|\*)\}")
_NAMES: Final = frozenset({"reference", "filename", "*"})
_ANY_FOLDERS: Final = "**"


class NotAKeyPatternError(ValueError):
    """Not a pattern; the message says why."""


@dataclass(frozen=True, slots=True)
class Named:
    """The references and the filename that a pattern finds in a key."""

    references: tuple[str, ...]
    filename: str | None


@dataclass(frozen=True, slots=True)
class _Segment:
    """The text between two slashes: places with literals around them, so one more literal than places."""

    literals: tuple[str, ...]
    places: tuple[str, ...]

    def match(self, text: str) -> list[tuple[str, str]] | None:
        """Name and text of each place, or None.  A place takes as little as it can, the last one the rest."""
        first, *others = self.literals
        if not text.startswith(first):
            return None
        found, start = list[tuple[str, str]](), len(first)
        for number, (place, literal) in enumerate(zip(self.places, others, strict=True), start=1):
            if number == len(self.places):
                end = len(text) - len(literal) if text.endswith(literal) else -1
            else:
                end = text.find(literal, start + 1)
            if end <= start:  # a place holds at least one character
                return None
            found.append((place, text[start:end]))
            start = end + len(literal)
        return found if start == len(text) else None


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """`{reference}` matches a reference, `{filename}` the filename, `{*}` any text; none matches a slash.

    The segment `**`, allowed once, matches any number of folders.
    """

    head: tuple[_Segment, ...]
    tail: tuple[_Segment, ...] | None  # the segments after `**`; None without `**`

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NotAKeyPatternError."""
        if not 1 <= len(text) <= LONGEST_PATTERN:
            raise NotAKeyPatternError(f"must have 1 to {LONGEST_PATTERN} characters")
        names = _PLACE.findall(text)
        if unknown := sorted(set(names) - _NAMES) or re.findall(r"[{}]", _PLACE.sub("", text)):
            raise NotAKeyPatternError(f"knows {{reference}}, {{filename}} and {{*}}, not {unknown[0]}")
        if "reference" not in names or len(names) > _MOST_PLACES or names.count("filename") > 1:
            raise NotAKeyPatternError(
                f"needs a {{reference}}, at most one {{filename}} and {_MOST_PLACES} places"
            )
        if re.search(r"\}\{", text):
            raise NotAKeyPatternError("needs some text between two places")
        segments = text.split("/")
        if segments.count(_ANY_FOLDERS) > 1:
            raise NotAKeyPatternError("has `**` at most once")
        if _ANY_FOLDERS not in segments:
            return cls(tuple(map(_segment, segments)), None)
        at = segments.index(_ANY_FOLDERS)
        return cls(tuple(map(_segment, segments[:at])), tuple(map(_segment, segments[at + 1 :])))

    def match(self, key: str) -> Named | None:
        """What the pattern finds in the key; None if the key does not match."""
        parts, tail = key.split("/"), self.tail or ()
        fits = len(parts) == len(self.head) if self.tail is None else len(parts) >= len(self.head + tail)
        if not fits:
            return None
        places: list[tuple[str, str]] = []
        told = [*parts[: len(self.head)], *parts[len(parts) - len(tail) :]]
        for segment, part in zip((*self.head, *tail), told, strict=True):
            if (found := segment.match(part)) is None:
                return None
            places += found
        references = tuple(text for name, text in places if name == "reference")
        return Named(references, next((text for name, text in places if name == "filename"), None))


def _segment(text: str) -> _Segment:
    literals = _PLACE.split(text)[::2]
    return _Segment(tuple(literals), tuple(_PLACE.findall(text)))
