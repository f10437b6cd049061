"""A private catalog: URLs and cookies that CloudFront takes, checked as it checks them."""

from __future__ import annotations

import base64
import fnmatch
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from catalog.adapters.signing import Viewers
from catalog.domain.keys import tenant_id
from infra.pictures.images import jpeg_bytes, product_photo
from tests.functional.cloud import Cloud

CDN = "https://images.shop.example"
KEY_PAIR = "K2JCJMDEHXQW5F"
PHOTO = jpeg_bytes(product_photo(1, (320, 240)))


@dataclass(frozen=True)
class CloudFront:
    """What CloudFront does with a custom policy: AWS's "Use signed URLs", "Use signed cookies"."""

    key_id: str

    def lets_see(self, url: str, signed: dict[str, str], *, at: datetime | None = None) -> bool:
        def decoded(name: str) -> bytes:
            return base64.b64decode(signed[name].translate(str.maketrans("-_~", "+=/")), validate=True)

        assert (signed["Key-Pair-Id"], signed["Hash-Algorithm"]) == (KEY_PAIR, "SHA256")
        public = load_der_public_key(boto3.client("kms").get_public_key(KeyId=self.key_id)["PublicKey"])
        assert isinstance(public, ec.EllipticCurvePublicKey)
        try:
            public.verify(decoded("Signature"), decoded("Policy"), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        (statement,) = json.loads(decoded("Policy"))["Statement"]
        until = statement["Condition"]["DateLessThan"]["AWS:EpochTime"]
        return (
            fnmatch.fnmatchcase(url, statement["Resource"]) and (at or datetime.now(UTC)).timestamp() < until
        )

    def shows(self, url: str, *, at: datetime | None = None) -> bool:
        base, _, query = url.partition("?")
        signed = dict(parse_qsl(query, strict_parsing=True))
        return self.lets_see(base, signed, at=at)


@pytest.fixture
def cloudfront(cloud: Cloud) -> CloudFront:
    key = boto3.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    cloud.configure(RENDITIONS_BASE_URL=CDN, VIEW_SIGNER=f"{KEY_PAIR} {key['KeyId']}")
    return CloudFront(key["KeyId"])


def view_pass(cloud: Cloud, client_id: str = "client-of-acme") -> dict[str, Any]:
    answer = cloud.call("get_image", "GET", "/view-pass", client_id=client_id)
    assert answer.status == 200
    return answer.json


def urls_in(markup: str) -> list[str]:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
            told = dict(attrs)
            found.extend(filter(None, [told.get("src")]))
            found.extend(each.split(" ")[0] for each in (told.get("srcset") or "").split(", ") if each)

    Reader().feed(markup)
    return found


def test_every_url_of_an_image_shows_it_for_an_hour(cloud: Cloud, cloudfront: CloudFront) -> None:
    asset = cloud.upload(PHOTO)

    given = [one["url"] for one in asset["renditions"]] + urls_in(asset["picture"])
    assert len(given) == 3 + 3  # two presets are of one width, as the photo is small
    for url in given:
        assert url.startswith(f"{CDN}/renditions/acme/{asset['id']}/")
        assert cloudfront.shows(url)
        assert cloudfront.shows(url, at=datetime.now(UTC) + timedelta(minutes=59))
        assert not cloudfront.shows(url, at=datetime.now(UTC) + timedelta(minutes=61))
        assert not cloudfront.shows(url.replace("/acme/", "/globex/"))
        assert not cloudfront.shows(url.replace("Policy=", "Policy=AAAA"))


def test_a_stored_url_is_shown_with_the_query_or_the_cookies_of_a_pass(
    cloud: Cloud, cloudfront: CloudFront
) -> None:
    stored = cloud.upload(PHOTO)["renditions"][0]["permanent_url"]
    assert "?" not in stored

    given = view_pass(cloud)

    assert cloudfront.shows(f"{stored}?{given['query']}")
    cookies = {name.removeprefix("CloudFront-"): value for name, value in given["cookies"].items()}
    assert cloudfront.lets_see(stored, cookies)
    assert all(name.startswith("CloudFront-") for name in given["cookies"])
    assert not any(set(value) & set(' ";,\\') for value in given["cookies"].values())
    expires = datetime.fromisoformat(given["expires_at"])
    assert timedelta(minutes=59) < expires - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize(
    "url",
    [
        f"{CDN}/renditions/globex/{'5c' * 32}/card",
        f"{CDN}/renditions/globex/{'5c' * 32}/card?/renditions/acme/",
        f"{CDN}/renditions/globex/{'5c' * 32}/card?x={CDN}/renditions/acme/x",
        f"{CDN}/renditions/acme-2/{'5c' * 32}/card",
        f"{CDN}/renditions/acme",
        f"{CDN}.evil.example/renditions/acme/x",
    ],
)
def test_a_pass_shows_nothing_of_another_tenant(cloud: Cloud, cloudfront: CloudFront, url: str) -> None:
    cookies = view_pass(cloud)["cookies"]
    signed = {name.removeprefix("CloudFront-"): value for name, value in cookies.items()}

    assert cloudfront.lets_see(f"{CDN}/renditions/acme/{'5c' * 32}/card", signed)
    assert not cloudfront.lets_see(url, signed)


def test_a_page_of_images_costs_one_signature_a_minute(cloud: Cloud, cloudfront: CloudFront) -> None:
    for seed in range(3):
        cloud.upload(jpeg_bytes(product_photo(seed, (40, 30))))
    with cloud.watched_calls() as calls:
        cloud.list_images()
        cloud.list_images()

    assert calls.made.count("kms:Sign") == 1
    now = iter([0.0, 59.0, 61.0])
    viewers = Viewers(cloudfront.key_id, key_pair=KEY_PAIR, cdn=CDN, monotonic=lambda: next(now))
    with cloud.watched_calls() as calls:
        passes = [viewers.pass_for(tenant_id("acme")) for _ in range(3)]
    assert calls.made.count("kms:Sign") == 2
    assert passes[0] is passes[1] is not passes[2]


def test_where_views_need_no_signature_a_pass_is_empty(cloud: Cloud) -> None:
    for address in ("", CDN):
        cloud.configure(RENDITIONS_BASE_URL=address)
        assert view_pass(cloud) == {"expires_at": None, "query": None, "cookies": {}}
    assert urlsplit(cloud.upload(PHOTO)["renditions"][0]["url"]).query == ""
