"""Viewers of the emulator's CloudFront, at both kinds of addresses.  It neither caches nor checks passes."""

import re
from concurrent.futures import ThreadPoolExecutor

import requests

from infra.local.cdn import localhost_names
from infra.local.deploy import with_cdn
from infra.pictures.images import jpeg_bytes, product_photo
from tests.end_to_end.deployment import Deployment, settled
from tests.examples import texts

VIEWERS = 20


def view(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=60, allow_redirects=False)


def test_a_stored_url_shows_the_rendition_and_then_that_nothing_changed(deployment: Deployment) -> None:
    with with_cdn(deployment.stack) as cdn, localhost_names(), deployment.client("acme") as acme:
        image = settled(acme, jpeg_bytes(product_photo(4711, (320, 240))))
        by_preset = {each["preset"]: each for each in image.document["renditions"]}
        stored = by_preset["card"]["permanent_url"]
        assert stored.startswith(f"{cdn}/renditions/acme/{image.id}/")

        # None has started yet: on busy processors 20 that started at once took longer than CloudFront waits.
        with ThreadPoolExecutor(VIEWERS) as viewers:
            first = list(viewers.map(lambda _: view(stored), range(VIEWERS)))
        immutable = view(by_preset["card"]["url"])
        shown = view(in_the_readme(cdn, image.id), Origin="https://shop.example.com")

        assert {(each.status_code, each.content) for each in [*first, shown]} == {(200, immutable.content)}
        assert "immutable" in immutable.headers["Cache-Control"]
        assert shown.headers["Access-Control-Allow-Origin"] == "*"
        again = view(stored, **{"If-None-Match": shown.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["Content-Type"] == "image/jpeg"
        assert view(f"{stored}x").status_code == 404


def in_the_readme(cdn: str, id_: str) -> str:
    """Where its <img> shows this image on this machine."""
    (markup,) = texts("README.md", "html")
    (src,) = re.findall(r'^<img src="(.+?)"', markup)
    return re.sub(r"[0-9a-f]{64}", id_, src.replace("https://images.shop.example", cdn))
