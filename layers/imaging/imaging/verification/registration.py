"""One luma predicted from the other by a linear filter over the whole picture, and from nothing local."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image
from PIL.Image import Resampling

from imaging.verification.planes import Plane

_TAPS: Final = 5
# Rows a fit takes: 27 weights need no more, and the sums over all were a third of a verification's time.
_ROWS_FITTED: Final = 128
# Ridge towards the identity, in grey levels squared a pixel.
_RIDGE: Final = 2.0


def resampled(luma: Image.Image, size: tuple[int, int]) -> list[Image.Image]:
    """`luma` at `size` by the filters no 5 x 5 taps of a Lanczos can imitate, because they let it alias."""
    x_step, y_step = luma.width / size[0], luma.height / size[1]
    pointwise = luma.transform(
        size, Image.Transform.AFFINE, (x_step, 0, 0, 0, y_step, 0), Resampling.BILINEAR
    )
    return [luma.resize(size, Resampling.BOX), pointwise, luma.resize(size, Resampling.NEAREST)]


def predicted(source: Plane, target: Plane, others: Sequence[Plane] = ()) -> Plane:
    """`target` as far as one linear filter over `source` and its `others` (resampled versions) explains it.

    The weights sum to 1 and there is no constant: no lighter or flatter picture passes for the same one.
    """
    planes, step = [*_shifts(source), *others], max(1, source.shape[0] // _ROWS_FITTED)
    some = [(plane[::step] - source[::step]).ravel() for plane in planes]
    terms = np.stack(some)
    gram = (terms @ terms.T).astype(np.float64) + _RIDGE * terms.shape[1] * np.eye(len(terms))
    sought = (target[::step] - source[::step]).ravel()
    weights = np.linalg.solve(gram, (terms @ sought).astype(np.float64)).astype(np.float32)
    prediction: Plane = source * (1 - weights.sum())
    for weight, plane in zip(weights, planes, strict=True):
        prediction += weight * plane
    return prediction


def _shifts(source: Plane) -> list[Plane]:
    height, width = source.shape
    margin = _TAPS // 2
    padded = np.pad(source, margin, mode="edge")
    return [
        padded[y : y + height, x : x + width]
        for y in range(_TAPS)
        for x in range(_TAPS)
        if (y, x) != (margin, margin)
    ]
