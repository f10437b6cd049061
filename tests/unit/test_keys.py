"""Object keys: one content, one key; nothing else parses as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain.keys import (
    AssetKey,
    NotAnOriginalKeyError,
    NotATenantIdError,
    asset_id,
    tenant_id,
)

ID = "0123456789abcdef" * 4


@given(tenant=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True))
def test_an_original_key_names_its_asset(tenant: str) -> None:
    key = AssetKey(tenant_id(tenant), asset_id(ID))

    assert AssetKey.of_original(key.original) == key


@given(text=st.text())
def test_any_other_text_is_no_original_key(text: str) -> None:
    with pytest.raises(NotAnOriginalKeyError):
        AssetKey.of_original(text)


@pytest.mark.parametrize(
    "key",
    [
        f"renditions/acme/{ID}",
        f"originals//{ID}",
        f"originals/acme/../{ID}",
        f"originals/../{ID}",
        f"originals/acme/{ID.upper()}",
        f"originals/acme/{ID}\n",
        f"/originals/acme/{ID}",
        f"originals/acme%2F/{ID}",
    ],
)
def test_a_key_that_only_looks_like_one_is_refused(key: str) -> None:
    with pytest.raises(NotAnOriginalKeyError):
        AssetKey.of_original(key)


@pytest.mark.parametrize("text", ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "\u0430cme", "a" * 64, "acme\n"])
def test_what_cannot_stand_in_a_key_is_no_tenant_id(text: str) -> None:
    with pytest.raises(NotATenantIdError):
        tenant_id(text)


def test_a_renditions_key_names_preset_and_version() -> None:
    key = AssetKey(tenant_id("acme"), asset_id(ID))

    assert key.rendition("thumb", "0123456789", "jpg") == f"renditions/acme/{ID}/thumb-0123456789.jpg"
