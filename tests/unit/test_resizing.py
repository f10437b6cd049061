"""Without the SIMD resizer, which has no wheel for arm64, renditions are the same to the eye."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imaging import resizing
from infra.pictures import images

WITHOUT = """
import sys
sys.modules["cykooz_resizer"] = None
from PIL import Image
from imaging import resizing
assert resizing._simd is None
source, target, width, height = sys.argv[1:]
resizing.resized(Image.open(source), (int(width), int(height))).save(target)
"""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_a_rendition_made_without_the_simd_resizer_differs_by_a_rounding_only(
    tmp_path: Path, mode: str
) -> None:
    source, target, size = tmp_path / "source.png", tmp_path / "target.png", (200, 150)
    picture = images.product_photo(5, (800, 600)).convert(mode)
    picture.save(source)

    layers = str(Path(resizing.__file__).parents[1])
    subprocess.run(
        [sys.executable, "-c", WITHOUT, source, target, *map(str, size)],
        env={"PYTHONPATH": layers},
        check=True,
    )

    with Image.open(target) as found:
        assert (found.mode, found.size) == (mode, size)
        difference = np.abs(np.asarray(found, float) - np.asarray(resizing.resized(picture, size), float))
    assert difference.mean() < 1
