"""A catalog's whole life on the deployed stack: `python -m tests.catalog` (make catalog).  No pytest."""

import sys
from pathlib import Path

for _source in ("layers/catalog", "layers/imaging", "clients/python/src"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / _source))
