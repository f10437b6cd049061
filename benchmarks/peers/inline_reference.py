"""The pipeline's peer: everything inside the upload request, in one FastAPI process over SQLite and a folder.

    INLINE_REFERENCE_DIR=/tmp/inline uvicorn benchmarks.peers.inline_reference:app

What tutorials and small services do: hash, average-hash, a scan of all hashes for the nearest, and three
renditions with Pillow, each opened, decoded and resized for itself.  Around them it is as fast as such a
service can be: plain SQLite instead of an ORM, integers instead of imagehash's arrays in the scan, a raw body
instead of a form, a pool of threads (Pillow lets go of the interpreter) instead of a blocked event loop.
"""

import hashlib
import io
import os
import sqlite3
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import imagehash
from fastapi import Body, FastAPI
from PIL import Image, ImageOps

PRESETS: Final = {"thumb": 200, "card": 600, "zoom": 1600}  # the box's side in pixels
QUALITY: Final = 85
HAMMING_THRESHOLD: Final = 5

SCHEMA: Final = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS images (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    average_hash INTEGER NOT NULL,
    filename TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    near_duplicate_of INTEGER REFERENCES images (id),
    UNIQUE (tenant, content_hash)
);
CREATE TABLE IF NOT EXISTS renditions (
    image INTEGER NOT NULL REFERENCES images (id),
    preset TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    PRIMARY KEY (image, preset)
);
"""

app = FastAPI()
folder = Path(os.environ.get("INLINE_REFERENCE_DIR", "."))
_connections = threading.local()


def database() -> sqlite3.Connection:
    """This thread's connection to the catalog; it waits for another's write."""
    connection: sqlite3.Connection | None = getattr(_connections, "open", None)
    if connection is None:
        connection = connect(folder)
        _connections.open = connection
    return connection


def connect(where: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(where / "catalog.sqlite", timeout=60)
    connection.executescript(SCHEMA)
    return connection


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/v1/images")
def upload(
    body: Annotated[bytes, Body(media_type="application/octet-stream")],
    tenant: str,
    filename: str,
    reuse: bool = True,
) -> dict[str, Any]:
    """The image with its renditions, once they are written.

    A near-duplicate is recorded as such; with `reuse` it shares the renditions of the image it is taken for.
    """
    content_hash = hashlib.sha256(body).hexdigest()
    known = (
        database()
        .execute("SELECT id FROM images WHERE tenant = ? AND content_hash = ?", (tenant, content_hash))
        .fetchone()
    )
    if known:
        return {"id": known[0], "known": True, "near_duplicate_of": None}
    with Image.open(io.BytesIO(body)) as image:
        width, height = image.size
        average_hash = int(str(imagehash.average_hash(image)), 16)
    near = nearest(tenant, average_hash)
    made = [] if near is not None and reuse else [rendition(body, content_hash, name) for name in PRESETS]
    original = folder / "originals" / content_hash
    original.parent.mkdir(exist_ok=True)
    original.write_bytes(body)
    with database() as transaction:
        inserted = transaction.execute(
            "INSERT INTO images VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (tenant, content_hash, signed(average_hash), filename, len(body), width, height, near),
        )
        transaction.executemany(
            "INSERT OR REPLACE INTO renditions VALUES (?, ?, ?, ?, ?, ?)",
            [(inserted.lastrowid, *facts) for facts in made],
        )
    return {"id": inserted.lastrowid, "known": False, "near_duplicate_of": near}


def nearest(tenant: str, average_hash: int) -> int | None:
    """The tenant's nearest image within the threshold, by a look at every one."""
    rows = database().execute("SELECT id, average_hash FROM images WHERE tenant = ?", (tenant,))
    mine = signed(average_hash)
    distance, id_ = min(
        (((mine ^ other) & 0xFFFF_FFFF_FFFF_FFFF).bit_count(), id_) for id_, other in [*rows, (-1, ~mine)]
    )
    return id_ if distance <= HAMMING_THRESHOLD else None


def signed(average_hash: int) -> int:
    """64 bits as SQLite keeps them."""
    return average_hash - (1 << 64) if average_hash >> 63 else average_hash


def rendition(body: bytes, content_hash: str, preset: str) -> tuple[str, str, int, int, int]:
    """Preset, path, bytes, width and height of a rendition, now written."""
    with Image.open(io.BytesIO(body)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    image.thumbnail((PRESETS[preset], PRESETS[preset]), Image.Resampling.LANCZOS, reducing_gap=None)
    path = folder / "renditions" / content_hash / f"{preset}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "JPEG", quality=QUALITY)
    return (preset, str(path.relative_to(folder)), path.stat().st_size, *image.size)
