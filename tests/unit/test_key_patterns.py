"""Patterns over the keys of foreign objects."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.key_patterns import KeyPattern, Named, NotAKeyPatternError


@pytest.mark.parametrize(
    ("pattern", "key", "references", "filename"),
    [
        ("products/{reference}/{filename}", "products/A-1/front.jpg", ("A-1",), "front.jpg"),
        ("{reference}.jpg", "A-1.jpg", ("A-1",), None),
        ("{reference}_{*}.jpg", "A-1_front_2.jpg", ("A-1",), None),
        ("{*}/{reference}-{*}", "shoes/12-red.png", ("12",), None),
        ("{reference}/{reference}/{filename}", "brand/sku/1.jpg", ("brand", "sku"), "1.jpg"),
        ("**/{reference}/{filename}", "A/1.jpg", ("A",), "1.jpg"),
        ("**/{reference}/{filename}", "a/b/c/A/1.jpg", ("A",), "1.jpg"),
        ("img/**/{reference}.{*}", "img/a/b/A.tar.gz", ("A",), None),
        ("img/**/{reference}.{*}", "img/A.jpg", ("A",), None),
        ("{reference}/**", "A/b/c.jpg", ("A",), None),
    ],
)
def test_a_key_of_the_pattern_says_its_references_and_filename(
    pattern: str, key: str, references: tuple[str, ...], filename: str | None
) -> None:
    assert KeyPattern.parse(pattern).match(key) == Named(references, filename)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("products/{reference}/{filename}", "products/A-1"),
        ("products/{reference}/{filename}", "products/A-1/b/c.jpg"),
        ("products/{reference}/{filename}", "Products/A-1/c.jpg"),
        ("products/{reference}/{filename}", "products//c.jpg"),
        ("{reference}.jpg", ".jpg"),
        ("{reference}.jpg", "A.png"),
        ("{reference}_{*}.jpg", "A-1.jpg"),
        ("**/{reference}/{filename}", "1.jpg"),
        ("a/**/{reference}/b", "a/b"),
        ("fixed{reference}", "fixed"),
    ],
)
def test_another_key_says_nothing(pattern: str, key: str) -> None:
    assert KeyPattern.parse(pattern).match(key) is None


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "1 to 256"),
        ("{reference}" + "x" * 250, "1 to 256"),
        ("products/{filename}", "needs a {reference}"),
        ("{filename}/{reference}/{filename}", "at most one"),
        ("/".join(["{reference}"] * 9), "8 places"),
        ("{reference}{filename}", "text between"),
        ("{sku}/{filename}", "not sku"),
        ("{reference}/}", "not }"),
        ("**/{reference}/**", "at most once"),
    ],
)
def test_what_is_no_pattern_is_refused_and_says_why(pattern: str, why: str) -> None:
    with pytest.raises(NotAKeyPatternError, match=re.escape(why)):
        KeyPattern.parse(pattern)


@given(st.lists(st.text("ab-_.", min_size=1), min_size=1, max_size=4), st.text("ab-_./", max_size=60))
def test_a_match_puts_the_key_together_again(literals: list[str], key: str) -> None:
    pattern = KeyPattern.parse("{reference}" + "".join(f"{text}{{*}}" for text in literals))
    named = pattern.match(key)
    if named is not None:
        assert key.startswith(named.references[0])
        assert "/" not in key
