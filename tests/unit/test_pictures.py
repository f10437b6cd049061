"""The markup that shows an image."""

from html.parser import HTMLParser

from catalog.api.pictures import markup
from catalog.domain.keys import AssetId, AssetKey, TenantId
from catalog.domain.renditions import Rendition
from catalog.domain.sources import Source, SourceFormat

KEY = AssetKey(TenantId("acme"), AssetId("5c" * 32))
SOURCE = Source(SourceFormat.JPEG, 4032, 3024)


def rendition(preset: str, width: int, height: int, extension: str = "jpg", size: int = 9) -> Rendition:
    return Rendition(preset, "0a", KEY.rendition(preset, "0a", extension), size, width, height, 85)


def url_of(one: Rendition) -> str:
    return f"https://cdn.example.com/{one.preset}?a=1&b=2"


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(html)
    return found


def test_a_srcset_names_every_width_once_with_the_fewest_bytes() -> None:
    shown = markup(
        [
            rendition("zoom", 1600, 1200),
            rendition("thumb", 200, 150),
            rendition("large", 1600, 1200, size=8),
            rendition("card", 600, 450),
        ],
        SOURCE,
        url_of=url_of,
    )
    thumb, card, large = (f"https://cdn.example.com/{name}?a=1&b=2" for name in ("thumb", "card", "large"))
    assert shown["srcset"] == f"{thumb} 200w, {card} 600w, {large} 1600w"


def test_a_picture_offers_the_best_format_first_and_falls_back_to_what_every_browser_shows() -> None:
    renditions = [
        rendition("card", 600, 450),
        rendition("card_webp", 600, 450, "webp"),
        rendition("card_avif", 600, 450, "avif"),
    ]
    (picture, *sources, (image, attributes)) = tags(markup(renditions, SOURCE, url_of=url_of)["picture"])
    assert picture == ("picture", {})
    assert [(tag, each["type"]) for tag, each in sources] == [
        ("source", "image/avif"),
        ("source", "image/webp"),
    ]
    assert sources[0][1]["srcset"] == "https://cdn.example.com/card_avif?a=1&b=2 600w"
    assert (image, attributes["src"]) == ("img", "https://cdn.example.com/card?a=1&b=2")
    assert (attributes["width"], attributes["height"], attributes["alt"]) == ("600", "450", "")


def test_a_crop_never_stands_for_the_whole_image() -> None:
    renditions = [rendition("square", 800, 800), rendition("thumb", 200, 150), rendition("card", 601, 450)]
    assert "square" not in markup(renditions, SOURCE, url_of=url_of)["srcset"]


def test_where_every_preset_crops_the_largest_and_what_is_like_it_are_shown() -> None:
    renditions = [rendition("square", 800, 800), rendition("small", 100, 100), rendition("wide", 300, 100)]
    shown = markup(renditions, SOURCE, url_of=url_of)["srcset"]
    assert [each.split("?")[0].rpartition("/")[2] for each in shown.split(", ")] == ["small", "square"]


def test_an_image_without_renditions_has_no_markup() -> None:
    assert markup([], None, url_of=url_of) == {"srcset": None, "picture": None}
    assert markup([], SOURCE, url_of=url_of) == {"srcset": None, "picture": None}
