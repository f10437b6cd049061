"""CloudFront: immutable renditions from the bucket, permanent addresses from a function."""

import fnmatch
import re

import pytest

from catalog.domain.addresses import Address
from catalog.domain.keys import AssetKey, asset_id, tenant_id
from infra.template import APPLICATION, FUNCTIONS, environment
from tests.template.resolved import resolve

RESOURCES = APPLICATION.document["Resources"]
CONFIG = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
ORIGINS = {origin["Id"]: origin for origin in CONFIG["Origins"]}
PERMANENT, (IMMUTABLE,) = CONFIG["DefaultCacheBehavior"], CONFIG["CacheBehaviors"]
KEY = AssetKey(tenant_id("a" * 31 + "-" + "9" * 31), asset_id("5c" * 32))


def test_permanent_addresses_come_from_the_function_and_renditions_from_the_bucket():
    pattern = IMMUTABLE["PathPattern"]
    assert fnmatch.fnmatchcase("/" + KEY.rendition("card", "0a1b2c3d4e", "jpg"), pattern)
    assert not fnmatch.fnmatchcase("/" + Address(KEY, "card").path, pattern)
    assert ORIGINS[IMMUTABLE["TargetOriginId"]]["DomainName"] == {
        "Fn::GetAtt": "RenditionsBucket.RegionalDomainName"
    }
    # https://abc123.lambda-url.eu-central-1.on.aws/
    assert ORIGINS[PERMANENT["TargetOriginId"]]["DomainName"] == {
        "Fn::Select": [2, {"Fn::Split": ["/", {"Fn::GetAtt": "ShowRenditionUrl.FunctionUrl"}]}]
    }
    assert RESOURCES["ShowRenditionUrl"]["Properties"]["TargetFunctionArn"] == {"Ref": "ShowRendition"}


def test_cloudfront_signs_what_it_asks_of_either_origin():
    kinds = {}
    for name, origin in ORIGINS.items():
        access = RESOURCES[origin["OriginAccessControlId"]["Fn::GetAtt"].removesuffix(".Id")]
        control = access["Properties"]["OriginAccessControlConfig"]
        assert (control["SigningBehavior"], control["SigningProtocol"]) == ("always", "sigv4")
        kinds[name] = control["OriginAccessControlOriginType"]
    assert kinds == {"renditions": "s3", "addresses": "lambda"}
    assert ORIGINS["addresses"]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"


@pytest.mark.parametrize("behaviour", [IMMUTABLE, PERMANENT])
def test_viewers_read_by_https_only(behaviour):
    assert behaviour["AllowedMethods"] == ["GET", "HEAD"]
    assert resolve(behaviour["ViewerProtocolPolicy"]) == "redirect-to-https"


def test_an_address_is_kept_as_long_as_its_answer_says_and_for_every_viewer_alike():
    caching = RESOURCES[PERMANENT["CachePolicyId"]["Ref"]]["Properties"]["CachePolicyConfig"]
    assert (caching["MinTTL"], caching["DefaultTTL"]) == (0, 60)
    assert caching["MaxTTL"] == 86_400  # CloudFront ends stale-if-error there
    varies = caching["ParametersInCacheKeyAndForwardedToOrigin"]
    assert varies["HeadersConfig"] == {"HeaderBehavior": "none"}
    assert varies["CookiesConfig"] == {"CookieBehavior": "none"}
    assert varies["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
    assert "OriginRequestPolicyId" not in PERMANENT  # a forwarded Host would be refused by the function URL


def test_an_own_domain_comes_with_its_certificate_and_is_what_every_function_tells():
    condition, aliases, none = CONFIG["Aliases"]["Fn::If"]
    assert (condition, aliases, none) == ("CdnOwnDomain", [{"Ref": "CdnDomain"}], {"Ref": "AWS::NoValue"})
    condition, own, clouds = CONFIG["ViewerCertificate"]["Fn::If"]
    assert own["AcmCertificateArn"] == {"Ref": "CdnCertificate"}
    assert (condition, clouds) == ("CdnOwnDomain", {"CloudFrontDefaultCertificate": True})
    told = [
        environment(function)["RENDITIONS_BASE_URL"]
        for function in FUNCTIONS
        if "RENDITIONS_BASE_URL" in environment(function)
    ]
    assert told
    for each in told:
        condition, own, (otherwise) = each["Fn::If"]
        assert (condition, own) == ("CdnOwnDomain", {"Fn::Sub": "https://${CdnDomain}"})
        assert otherwise == {"Fn::If": ["Cdn", {"Fn::Sub": "https://${Distribution.DomainName}"}, ""]}


def edge_takes(path):
    code = RESOURCES["OnlyAddresses"]["Properties"]["FunctionCode"]
    (address,) = re.findall(r"const ADDRESS = /(.+)/;", code)
    return re.search(address, path) is not None


def test_the_edge_asks_the_function_for_addresses_only():
    condition, (association,), _ = PERMANENT["FunctionAssociations"]["Fn::If"]
    assert (condition, association["EventType"]) == ("TlsOnly", "viewer-request")
    assert association["FunctionARN"] == {"Fn::GetAtt": "OnlyAddresses.FunctionARN"}
    for preset in ("card", "a", "z_9-" * 8):
        assert edge_takes("/" + Address(KEY, preset).path)
    path = "/" + Address(KEY, "card").path
    climbing = (f"{path}/", f"{path}/..", f"/.{path}", path.replace("/renditions/", "/renditions/../"))
    for other in (*climbing, path.replace("card", "%63ard"), path.upper(), "/", "/wp-login", f"{path}s" * 2):
        assert not edge_takes(other), other


def test_a_private_catalog_is_private_at_both_kinds_of_addresses_or_not_deployed():
    for behaviour in (PERMANENT, IMMUTABLE):
        condition, groups, nobody = behaviour["TrustedKeyGroups"]["Fn::If"]
        assert (condition, groups, nobody) == ("SignedViews", [{"Ref": "ViewKeys"}], {"Ref": "AWS::NoValue"})
    rule = APPLICATION.document["Rules"]["ViewKeyHasItsPublicKey"]
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ViewKey"}, ""]}]}
    items = RESOURCES["ViewKeys"]["Properties"]["KeyGroupConfig"]["Items"]
    assert [item["Fn::If"][1] for item in items] == [{"Ref": "FirstViewKey"}, {"Ref": "SecondViewKey"}]


def test_every_function_that_tells_urls_signs_them_with_the_key_of_the_place_that_is_chosen():
    for function in FUNCTIONS:
        told = environment(function)
        # Events last for days in queues: they carry permanent addresses only, without a signature.
        assert ("VIEW_SIGNER" in told) == ("RENDITIONS_BASE_URL" in told and function != "Usage")
        if "VIEW_SIGNER" in told:
            second, key, (otherwise) = told["VIEW_SIGNER"]["Fn::If"]
            assert (second, key) == ("SecondSigns", {"Fn::Sub": "${SecondViewKey} ${ViewKey}"})
            assert otherwise == {"Fn::If": ["FirstSigns", {"Fn::Sub": "${FirstViewKey} ${ViewKey}"}, ""]}


@pytest.mark.parametrize("name", ["Distribution", "ShowRenditionUrl", "CdnMayCallTheUrl", "CdnMayInvoke"])
def test_without_a_cdn_nobody_can_call_the_function(name):
    assert RESOURCES[name]["Condition"] == "Cdn"
    assert APPLICATION.default("EnableCdn") == "false"


@pytest.mark.parametrize(
    ("domain", "taken"),
    [("images.shop.example", True), ("a.co", True), ("Images.shop.example", False), ("shop", False),
     ("https://images.shop.example", False), ("images.shop.example/", False), ("-a.example", False)],
)  # fmt: skip
def test_a_domain_is_a_name_and_no_address(domain, taken):
    pattern = APPLICATION.document["Parameters"]["CdnDomain"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, domain)) is taken
