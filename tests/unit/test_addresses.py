"""Permanent addresses, and what viewers get at them."""

import re
from pathlib import Path

import pytest

from catalog.api.views import known_tags, nothing_there, shown
from catalog.domain.addresses import Address, NothingThereError
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.presets import DEFAULT_PRESETS, Format
from catalog.domain.renditions import Rendition
from catalog.use_cases.showing import Shown
from infra.local.events import view_event

KEY = AssetKey(TenantId("acme"), AssetId("5c" * 32))
PATH = f"/renditions/acme/{KEY.id}/card"


def rendition(extension: str = "jpg", **changed: int) -> Rendition:
    key = KEY.rendition("card", "0a1b2c3d4e", extension)
    return Rendition(
        "card", "0a1b2c3d4e", key, **{"size_bytes": 9, "width": 2, "height": 2} | changed, quality=85
    )


def test_an_address_is_the_path_that_it_is_read_from() -> None:
    address = Address(KEY, "card")
    assert f"/{address.path}" == PATH
    assert Address.of_path(PATH) == address


def test_the_readme_shows_an_image_by_such_an_address() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (shown,) = re.findall(r'<img src="https://[^/"]+(/[^"]+)"', readme)
    assert Address.of_path(shown).preset in {preset.name for preset in DEFAULT_PRESETS}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/renditions/acme",
        f"/renditions/acme/{KEY.id}",
        f"/renditions/acme/{KEY.id}/",
        f"{PATH}/",
        f"{PATH}/thumb",
        f"/{PATH}",
        f"/j/acme/{KEY.id}/card",
        f"renditions/acme/{KEY.id}/card",
        f"x/renditions/acme/{KEY.id}/card",
        f"/renditions/Acme/{KEY.id}/card",
        f"/renditions/*/{KEY.id}/card",
        f"/renditions/acme/{KEY.id.upper()}/card",
        f"/renditions/acme/{KEY.id[1:]}/card",
        f"/renditions/acme/{KEY.id}/card.jpg",
        f"/renditions/acme/{KEY.id}/card\n",
        f"/renditions/acme/{KEY.id}/../card",
        f"/renditions/acme/{KEY.id}/card-0a1b2c3d4e.jpg",
    ],
)
def test_nothing_is_at_any_other_path(path: str) -> None:
    with pytest.raises(NothingThereError):
        Address.of_path(path)


@pytest.mark.parametrize("format_", [each for each in Format if each is not Format.AUTO])
def test_a_rendition_is_sent_as_what_its_key_says(format_: Format) -> None:
    answer = shown(Shown(rendition(format_.extension), data=b"pixels"))
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (200, format_.content_type)


def test_other_bytes_have_another_tag() -> None:
    tags = {rendition().tag, rendition("png").tag, rendition(size_bytes=10).tag}
    assert len(tags) == 3
    assert rendition(width=3).tag == rendition().tag


def test_a_viewer_asks_again_after_a_minute_and_may_be_told_that_nothing_changed() -> None:
    new, same = shown(Shown(rendition(), data=b"pixels")), shown(Shown(rendition(), is_known=True))
    assert same["statusCode"] == 304
    assert same["body"] == ""
    for answer in (new, same):
        assert answer["headers"]["ETag"] == f'"{rendition().tag}"'
        assert answer["headers"]["Content-Type"] == "image/jpeg"  # caches take over what a 304 says
        assert answer["headers"]["Cache-Control"].startswith("public, max-age=60,")


def test_what_is_too_large_for_an_answer_is_at_its_own_address() -> None:
    answer = shown(Shown(rendition()))
    assert (answer["statusCode"], answer["headers"]["Location"]) == (302, f"/{rendition().key}")
    assert answer["headers"]["Cache-Control"].startswith("public, max-age=60,")


def test_an_image_that_is_not_there_yet_is_asked_for_again_soon() -> None:
    assert nothing_there()["statusCode"] == 404
    assert nothing_there()["headers"]["Cache-Control"] == "public, max-age=10"


@pytest.mark.parametrize(
    ("header", "known"),
    [(None, {""}), ('"a"', {"a"}), ('W/"a"', {"a"}), ('"a", W/"b"', {"a", "b"}), ("*", {"*"})],
)
def test_tags_are_read_as_browsers_and_caches_send_them(header: str | None, known: set[str]) -> None:
    assert known_tags(view_event(PATH, if_none_match=header)) == known
