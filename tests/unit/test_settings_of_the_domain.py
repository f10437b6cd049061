"""Pixel limits as a setting, holds by their names, counts of what a tenant still has, and pages."""

import json

import pytest

from catalog.domain.keys import (
    AssetId,
    AssetKey,
    NotAnAssetIdError,
    NotAnOriginalKeyError,
    NotATenantIdError,
    asset_id,
    tenant_id,
)
from catalog.domain.near_duplicates import held_for, hold_of, in_order, is_hold
from catalog.domain.paging import Page
from catalog.domain.rejections import ImageRejectedError, Rejection, RejectionCode
from catalog.domain.sources import (
    DEFAULT_PIXEL_LIMITS,
    InvalidPixelLimitsError,
    SourceFormat,
    parse_pixel_limits,
)
from catalog.domain.tenants import REMAINS_AT_ONCE, TenantNotEmptyError


def test_a_pixel_limit_that_is_given_replaces_the_default_of_its_format_only() -> None:
    limits = parse_pixel_limits('{"png": 1, "jpeg": 7}')
    assert limits == {**DEFAULT_PIXEL_LIMITS, SourceFormat.PNG: 1, SourceFormat.JPEG: 7}
    assert parse_pixel_limits("{}") == DEFAULT_PIXEL_LIMITS


def test_a_pixel_limit_of_zero_refuses_a_format() -> None:
    assert parse_pixel_limits('{"heic": 0}')[SourceFormat.HEIC] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "PIXEL_LIMITS is not JSON (Expecting"),
        ("[]", "PIXEL_LIMITS must be an object of format: pixels"),
        ('{"bmp": 1}', "PIXEL_LIMITS names 'bmp', which is no accepted format"),
        *(
            (json.dumps({"png": pixels}), "PIXEL_LIMITS for png must be a whole number of pixels")
            for pixels in (-1, 1.5, True, "1", None)
        ),
    ],
)
def test_a_bad_pixel_limit_is_named(text: str, said: str) -> None:
    with pytest.raises(InvalidPixelLimitsError) as caught:
        parse_pixel_limits(text)
    assert str(caught.value).startswith(said)


def test_a_pair_has_one_spelling() -> None:
    first, second = AssetId("0" * 64), AssetId("f" * 64)
    assert in_order(first, second) == in_order(second, first) == (first, second)


def test_a_hold_names_its_duplicate_and_no_reference_is_one() -> None:
    duplicate = AssetId("5c" * 32)
    assert held_for(frozenset({hold_of(duplicate), "sku-1"})) == {duplicate}
    assert is_hold(hold_of(duplicate)) and not is_hold("sku-1")


def test_what_a_tenant_still_has_is_counted_up_to_what_one_call_looks_at() -> None:
    left = {"images": REMAINS_AT_ONCE - 1, "objects": REMAINS_AT_ONCE, "pairs": 0, "clients": 1}
    assert str(TenantNotEmptyError(left)) == (
        "this tenant still has images: 999, objects: 1,000 or more, clients: 1; "
        "release its references and purge it first"
    )


def test_a_rejection_is_told_by_its_code_and_for_people() -> None:
    error = ImageRejectedError(RejectionCode.CORRUPT, "no end")
    assert str(error) == "corrupt: no end"
    assert (error.code, error.message) == ("corrupt", "no end")
    assert error.rejection == Rejection(RejectionCode.CORRUPT, "no end")


PAGE = Page(("a", "b", "c"), ("after a", "after b", "after c"), "after c")


def test_a_page_that_leaves_entries_out_goes_on_where_it_would_have() -> None:
    shown = PAGE.map(lambda entry: entry.upper() if entry != "b" else None)
    assert shown == Page(("A", "C"), ("after a", "after c"), "after c")


def test_the_first_entries_of_a_page_are_a_page_that_goes_on_after_them() -> None:
    assert PAGE.first(3) is PAGE.first(4) is PAGE
    assert PAGE.first(2) == Page(("a", "b"), ("after a", "after b"), "after b")


def test_a_page_with_a_cursor_too_few_is_a_fault() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Page(("a", "b"), ("after a",)).map(str)


def test_a_bad_id_is_shown_in_its_first_80_characters() -> None:
    long = "A" * 79 + "BC"
    with pytest.raises(NotATenantIdError) as caught:
        tenant_id(long)
    assert str(caught.value) == repr(long[:80])
    with pytest.raises(NotAnAssetIdError) as caught_too:
        asset_id(long)
    assert str(caught_too.value) == repr(long[:80])


@pytest.mark.parametrize("key", ["renditions/acme/" + "0" * 64, "originals/acme", "originals/-/" + "0" * 64])
def test_a_key_of_no_original_is_named(key: str) -> None:
    with pytest.raises(NotAnOriginalKeyError) as caught:
        AssetKey.of_original(key)
    assert str(caught.value) == key
