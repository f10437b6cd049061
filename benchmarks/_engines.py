"""Four engines that make the three default renditions of one original, each in a process of its own.

    with started("libvips") as engine:
        run = engine.render(original, folder)

All write JPEG of quality 85, fitted inside their box, never larger than the original, oriented, in sRGB.  But
for Pillow, which is as tutorials write it, all do the same work: one decode, as small as the decoder can make
it, a cascade from zoom to card to thumb, optimised Huffman tables, progressive from the same size on.  None
has more than one thread to work with.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from catalog.domain.presets import DEFAULT_PRESETS
from catalog.domain.sources import DEFAULT_PIXEL_LIMITS
from imaging.encoding import PROGRESSIVE_FROM_PIXELS

QUALITY: Final = 85
SIDES: Final = {preset.name: preset.width for preset in sorted(DEFAULT_PRESETS, key=lambda p: -p.width)}
OURS, PILLOW, LIBVIPS, SHARP = "ours", "Pillow", "libvips", "sharp"
_SHARP: Final = Path(__file__).parent / "peers" / "sharp"

Render = Callable[[bytes], dict[str, bytes]]


class EngineUnavailableError(Exception):
    """The engine cannot run here; the message says why."""


@dataclass(frozen=True)
class Run:
    """One original rendered: seconds of CPU (all threads, user and system) and of wall."""

    cpu: float
    wall: float


# --- In the child ------------------------------------------------------------------------------------------


def _ours() -> tuple[str, Render]:
    import PIL  # noqa: PLC0415 (each child pays for its own engine, and only for that)

    from imaging import renditions  # noqa: PLC0415

    def render(original: bytes) -> dict[str, bytes]:
        made = renditions.render(original, DEFAULT_PRESETS, limits=DEFAULT_PIXEL_LIMITS)
        return {rendition.preset.name: rendition.data for rendition in made}

    return f"Pillow {PIL.__version__} and a SIMD resizer", render


def _pillow() -> tuple[str, Render]:
    import PIL  # noqa: PLC0415
    from PIL import Image, ImageOps  # noqa: PLC0415

    def render(original: bytes) -> dict[str, bytes]:
        with Image.open(io.BytesIO(original)) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        renditions = {}
        for name, side in SIDES.items():
            scale = min(1.0, side / max(image.size))
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            buffer = io.BytesIO()
            image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=QUALITY)
            renditions[name] = buffer.getvalue()
        return renditions

    return f"Pillow {PIL.__version__}", render


def _libvips() -> tuple[str, Render]:
    import pyvips  # noqa: PLC0415

    pyvips.cache_set_max(0)

    def render(original: bytes) -> dict[str, bytes]:
        renditions = {}
        image = None
        for name, side in SIDES.items():
            fitted = {"height": side, "size": "down"}
            if image is None:
                # Asked for always, a conversion takes place always, 300 ms of CPU from sRGB to sRGB.
                profiled = pyvips.Image.new_from_buffer(original, "").get_typeof("icc-profile-data")
                colour = {"output_profile": "srgb"} if profiled else {}
                image = pyvips.Image.thumbnail_buffer(original, side, **colour, **fitted)
            else:
                image = image.thumbnail_image(side, **fitted)
            image = image.copy_memory()
            renditions[name] = image.jpegsave_buffer(
                Q=QUALITY,
                optimize_coding=True,
                interlace=image.width * image.height >= PROGRESSIVE_FROM_PIXELS,
                keep="none",
            )
        return renditions

    version = ".".join(str(pyvips.version(part)) for part in range(3))
    return f"pyvips {pyvips.__version__}, libvips {version}", render


_IN_PYTHON: Final[dict[str, Callable[[], tuple[str, Render]]]] = {
    OURS: _ours,
    PILLOW: _pillow,
    LIBVIPS: _libvips,
}


def main() -> None:
    """Answer lines of JSON, {"source": path, "into": folder}, by {"cpu", "wall"}; say first who answers."""
    try:
        version, render = _IN_PYTHON[sys.argv[1]]()
    except ModuleNotFoundError as missing:
        print(json.dumps({"unavailable": f"{missing.name} is not installed"}), flush=True)
        return
    print(json.dumps({"engine": version}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        cpu, wall = time.process_time(), time.perf_counter()
        renditions = render(Path(asked["source"]).read_bytes())
        answer = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        for name, data in renditions.items():
            (Path(asked["into"]) / f"{name}.jpg").write_bytes(data)
        print(json.dumps(answer), flush=True)


# --- In the parent -----------------------------------------------------------------------------------------


class Engine:
    """A child that renders; `version` is what it says it is."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        hello = self._answer()
        if "unavailable" in hello:
            raise EngineUnavailableError(hello["unavailable"])
        self.version: str = hello["engine"]

    def render(self, source: Path, into: Path) -> Run:
        """Renditions of `source` as files of their name in `into`."""
        assert self._process.stdin is not None
        print(json.dumps({"source": str(source), "into": str(into)}), file=self._process.stdin, flush=True)
        return Run(**self._answer())

    def reset_peak(self) -> int:
        """The memory it holds now, in bytes; `peak` counts from here on (Linux)."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most memory it has held, in bytes."""
        return self._status("VmHWM")

    def _status(self, field: str) -> int:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return int(value.split()[0]) * 1024
        raise LookupError(field)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildProcessError(f"the engine ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def started(name: str) -> Iterator[Engine]:
    """The engine, running.  Raises EngineUnavailableError where it is not installed and cannot be."""
    command = _sharp_command() if name == SHARP else [sys.executable, "-m", "benchmarks._engines", name]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "VIPS_CONCURRENCY": "1"},
        cwd=Path(__file__).parents[1],
    ) as process:
        try:
            yield Engine(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _sharp_command() -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise EngineUnavailableError("Node.js is not installed")
    if not (_SHARP / "node_modules" / "sharp").exists():
        _install_sharp()
    presets = [{"name": name, "side": side} for name, side in SIDES.items()]
    options = {"quality": QUALITY, "progressive_from": PROGRESSIVE_FROM_PIXELS}
    return [node, str(_SHARP / "render.mjs"), json.dumps(presets), json.dumps(options)]


def _install_sharp() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise EngineUnavailableError("npm, which would install it, is not installed")
    installing = [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(installing, cwd=_SHARP, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineUnavailableError(f"npm ci failed: {(done.stderr.strip() or '?').splitlines()[-1]}")


if __name__ == "__main__":
    main()
