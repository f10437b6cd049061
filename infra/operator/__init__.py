"""Tools for whoever operates a deployment.  They run the pipeline's own use cases, from the layer source."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers" / "catalog"))
