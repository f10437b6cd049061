"""JPEG damaged in the middle: refused by name, and never an intact one."""

import io
import itertools

import pytest
from PIL import Image

from catalog.domain.rejections import ImageRejectedError, RejectionCode
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging import inspection, originals, turbojpeg
from imaging.containers import open_container
from imaging.decoding import decode
from infra.pictures import images

LOST = 4096
SCENES = [images.noisy_scene(seed, (480, 360)) for seed in range(5)]
WAYS = ({}, {"progressive": True}, {"subsampling": 0}, {"quality": 97}, {"restart_marker_rows": 1})
PHOTOS = [images.jpeg_bytes(scene, **{"quality": 88} | way) for scene in SCENES for way in WAYS]


def outcome(data: bytes) -> RejectionCode | tuple[int, int]:
    try:
        source = inspection.inspect(data, limits=DEFAULT_PIXEL_LIMITS).source
    except ImageRejectedError as error:
        return error.rejection.code
    return source.width, source.height


def checked(data: bytes) -> RejectionCode | None:
    """Its rejection; only as many pixels are made as must be."""
    container = open_container(data)
    try:
        decode(container, (1, 1), strict=True)
    except ImageRejectedError as error:
        return error.rejection.code
    return None


@pytest.mark.parametrize("put", [b"", bytes(LOST), b"\xff" * LOST, bytes(range(7, 247, 3)) * 52])
def test_a_jpeg_that_lost_4_kilobytes_in_its_middle_is_refused_as_damaged(put: bytes) -> None:
    middles = [(data, len(data) // 2) for data in PHOTOS]
    assert min(len(data) for data, _ in middles) > 3 * LOST
    found = [outcome(data[:at] + put + data[at + LOST :]) for data, at in middles]
    assert found == [RejectionCode.DAMAGED] * 25


def _generated() -> list[bytes]:
    """500 intact files: sizes, samplings, qualities, scans, restarts, and what surrounds the picture."""
    scene = images.noisy_scene(9, (97, 83))
    sizes = ((97, 83), (64, 48), (33, 17), (16, 16), (7, 90))
    modes = ("RGB", "L", "CMYK")
    saves = [
        {"quality": quality, "progressive": progressive, "optimize": optimize} | restarts
        for quality, progressive, optimize, restarts in itertools.product(
            (5, 75, 100),
            (False, True),
            (False, True),
            ({}, {"restart_marker_blocks": 3}, {"restart_marker_rows": 1}),
        )
    ]
    made = []
    for (size, mode), save in itertools.product(itertools.product(sizes, modes), saves):
        picture = scene.crop((0, 0, *size)).convert(mode)
        sampling = {} if mode != "RGB" else {"subsampling": len(made) % 3}
        made.append(images.jpeg_bytes(picture, **save | sampling))
    around = (b"\0" * 100, b"<html></html>", made[0], b"\xff\xd9\xff\xd9", b"\xff" * 9)
    trailed = [data[:] + after for data in made[:70:14] for after in around]
    mpo = [images.mpo_bytes([scene.resize((40, 30)), scene])] * 5
    return [*made[:470], *trailed, *mpo]


def test_none_of_500_intact_jpegs_of_many_encoders_settings_is_called_damaged() -> None:
    made = _generated()
    assert len(made) == 500
    assert [checked(data) for data in made] == [None] * 500


def test_a_jpeg_that_lost_only_its_end_marker_is_whole() -> None:
    assert outcome(PHOTOS[0][:-2]) == (480, 360)


def test_a_jpeg_that_ends_early_is_truncated_whatever_end_marker_a_tool_put_there() -> None:
    half = PHOTOS[0][: len(PHOTOS[0]) // 2]
    assert outcome(half) is RejectionCode.TRUNCATED
    assert outcome(half + b"\xff\xd9") is RejectionCode.DAMAGED


def test_a_cmyk_jpeg_is_checked_too() -> None:
    data = images.jpeg_bytes(SCENES[0].convert("CMYK"))
    at = len(data) // 2
    assert outcome(data) == (480, 360)
    assert outcome(data[:at] + data[at + LOST :]) is RejectionCode.DAMAGED


def test_a_damaged_original_accepted_in_former_times_still_renders() -> None:
    data = PHOTOS[0][:9000] + PHOTOS[0][9000 + LOST :]
    assert originals.canonical_pixels(data, limits=DEFAULT_PIXEL_LIMITS).size == (480, 360)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("shrink", [1, 2, 4, 8])
def test_a_jpeg_decoded_strictly_has_the_pixels_of_pillow(mode: str, progressive: bool, shrink: int) -> None:
    data = images.jpeg_bytes(SCENES[0].convert(mode), progressive=progressive)
    strictly = turbojpeg.decoded(data, (480, 360), shrink)
    with Image.open(io.BytesIO(data)) as image:
        image.draft(mode, (480 // shrink, 360 // shrink))
        image.load()
        assert strictly is not None
        assert (strictly.mode, strictly.size) == (image.mode, image.size)
        assert strictly.tobytes() == image.tobytes()


def test_what_turbojpeg_cannot_decode_is_for_pillow_to_name() -> None:
    assert turbojpeg.decoded(b"\xff\xd8\xff\xd9", (1, 1), 1) is None
    assert turbojpeg.decoded(images.jpeg_bytes(SCENES[0].convert("CMYK")), (480, 360), 1) is None
