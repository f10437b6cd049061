"""Presets: validated as a whole, versioned by what they would write."""

import json
from dataclasses import replace

import pytest

from catalog.domain.presets import DEFAULT_PRESETS, Fit, Format, InvalidPresetsError, Preset, parse_presets


def test_presets_are_read_with_their_defaults() -> None:
    text = '[{"name": "thumb", "width": 200, "height": 100, "fit": "cover", "format": "webp", "quality": 70}]'

    assert parse_presets(text) == (Preset("thumb", 200, 100, Fit.COVER, Format.WEBP, 70),)


def test_every_fault_of_every_preset_is_named_at_once() -> None:
    bad = [
        {"name": "Thumb", "width": 0, "height": 200},
        {"name": "card", "width": 600, "height": 5000, "fit": "stretch", "format": "bmp", "quality": 101},
        {"name": "zoom", "width": 1600, "height": True, "background": "white", "keep_copyright": 1, "box": 3},
        7,
    ]

    with pytest.raises(InvalidPresetsError) as caught:
        parse_presets(json.dumps(bad))

    faults = " | ".join(caught.value.faults)
    for fault in ("[0] name", "[0] width", "[1] height", "[1] fit", "[1] format", "[1] quality"):
        assert fault in faults
    for fault in (
        "[2] height",
        "[2] background",
        "[2] keep_copyright",
        "[2] unknown fields box",
        "[3] must be",
    ):
        assert fault in faults


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" + ",".join(["{}"] * 17) + "]"])
def test_what_is_no_list_of_presets_is_refused(text: str) -> None:
    with pytest.raises(InvalidPresetsError):
        parse_presets(text)


def test_a_name_defined_twice_is_refused() -> None:
    twice = [{"name": "thumb", "width": 200, "height": 200}] * 2

    with pytest.raises(InvalidPresetsError, match="'thumb' is defined twice"):
        parse_presets(json.dumps(twice))


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 201},
        {"height": 201},
        {"fit": Fit.PAD},
        {"format": Format.WEBP},
        {"quality": 84},
        {"background": "#000000"},
        {"keep_copyright": True},
    ],
)
def test_a_version_changes_with_everything_that_changes_the_bytes(changed: dict[str, object]) -> None:
    preset = DEFAULT_PRESETS[0]

    assert replace(preset, **changed).version != preset.version  # type: ignore[arg-type]


def test_a_version_is_of_the_definition_and_not_of_the_name() -> None:
    assert replace(DEFAULT_PRESETS[0], name="small").version == DEFAULT_PRESETS[0].version


def test_the_bounds_of_a_preset_belong_to_it() -> None:
    least = {"name": "a", "width": 1, "height": 1, "quality": 1}
    most = {"name": "b", "width": 4096, "height": 4096, "quality": 100}

    assert [preset.quality for preset in parse_presets(json.dumps([least, most]))] == [1, 100]
    sixteen = [{**least, "name": f"p{number}"} for number in range(16)]
    assert len(parse_presets(json.dumps(sixteen))) == 16
    with pytest.raises(InvalidPresetsError, match=r"^PRESETS is invalid: must be a list of 1 to 16 presets$"):
        parse_presets(json.dumps([*sixteen, most]))


def test_faults_are_told_one_after_the_other() -> None:
    entry = {"name": "a", "width": 1, "height": 1, "fit": "fill", "x": 1, "y": 2}
    with pytest.raises(InvalidPresetsError) as caught:
        parse_presets(json.dumps([entry, entry]))
    said = str(caught.value)
    assert "unknown fields x, y" in said and "fit must be one of inside, cover, pad" in said
    assert "; " in said


def test_fit_and_format_are_values_of_the_domain_and_no_text() -> None:
    (preset,) = parse_presets('[{"name": "a", "width": 1, "height": 1, "fit": "cover", "format": "webp"}]')
    assert preset.fit is Fit.COVER and preset.format is Format.WEBP
