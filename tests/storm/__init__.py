"""A storm on the deployed stack: `python -m tests.storm` (make storm).  Not collected by pytest."""

import sys
from pathlib import Path

for _layer in ("catalog", "imaging"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers" / _layer))
