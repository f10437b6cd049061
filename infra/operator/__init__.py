"""Tools for whoever operates a deployment.  They run the pipeline's own use cases, from the layer source."""

import sys
from pathlib import Path

_LAYERS = Path(__file__).resolve().parents[2] / "layers"
sys.path[:0] = [str(_LAYERS / "catalog"), str(_LAYERS / "imaging")]
