"""A catalog's whole life on the deployed stack: `python -m tests.catalog` (make catalog).  No pytest."""

import sys
from pathlib import Path

for _layer in ("catalog", "imaging"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers" / _layer))
