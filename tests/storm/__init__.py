"""A storm on the deployed stack: `python -m tests.storm` (make storm).  Not collected by pytest."""

import sys
from pathlib import Path

for _source in ("layers/catalog", "layers/imaging", "clients/python/src"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / _source))
