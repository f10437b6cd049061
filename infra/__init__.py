"""What is not code of the pipeline.  Its tools call the API by the client that shops install."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "clients" / "python" / "src"))
