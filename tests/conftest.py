"""What every test needs before the first module of ours is imported."""

import os

from hypothesis import settings

# Powertools reads these when its logger and metrics are made, once a process, whichever test comes first.
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "catalog-images")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "CatalogImagePipeline")

# For the nights: what asks for it runs for hours instead of a minute, in an order of its own each time.
settings.register_profile("long")
