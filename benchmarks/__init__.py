"""Measurements, each against a peer or a bound.  They run the pipeline's own code, from the layer source."""

import sys
from pathlib import Path

for source in ("layers/catalog", "layers/imaging", "clients/python/src"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / source))
