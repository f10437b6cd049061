"""Client of the Catalog Image Pipeline: photos in, every size a shop needs out.

from catalog_images import connect

with connect() as catalog:
    image = catalog.wait(catalog.upload("lamp.jpg").id)
"""

from catalog_images.aio import AsyncCatalogClient
from catalog_images.client import CatalogClient
from catalog_images.errors import (
    ApiError,
    CatalogError,
    ClientClosedError,
    FileChangedError,
    JobNotEndedError,
    NotFinishedError,
    ProfileError,
    TokenRefusedError,
    UnreachableError,
    UploadRefusedError,
)
from catalog_images.models import (
    Announcement,
    Comparison,
    Credentials,
    Encoding,
    Image,
    Job,
    Known,
    Metrics,
    NewReference,
    Page,
    Pair,
    PresetComparison,
    PurgeRun,
    Rendition,
    Ticket,
)
from catalog_images.profiles import aconnect, connect

__version__ = "0.1.0"

__all__ = [
    "Announcement",
    "ApiError",
    "AsyncCatalogClient",
    "CatalogClient",
    "CatalogError",
    "ClientClosedError",
    "Comparison",
    "Credentials",
    "Encoding",
    "FileChangedError",
    "Image",
    "Job",
    "JobNotEndedError",
    "Known",
    "Metrics",
    "NewReference",
    "NotFinishedError",
    "Page",
    "Pair",
    "PresetComparison",
    "ProfileError",
    "PurgeRun",
    "Rendition",
    "Ticket",
    "TokenRefusedError",
    "UnreachableError",
    "UploadRefusedError",
    "aconnect",
    "connect",
]
