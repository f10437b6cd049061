"""The layers as `sam build` makes them: what is in them, how big, and what a function sees of them."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.template import FUNCTIONS, ROOT, environment, handler, layers

FOLDERS = {"CatalogLayer": "catalog", "ImagingLayer": "imaging"}
MIB = 1024 * 1024

# What comes with Lambda's python3.13 runtime; taken from the development environment, one link each.
RUNTIME_PACKAGES = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3")


def _build(target: Path) -> Path:
    """Both layers by the very make targets that `sam build` calls, for Lambda's platform."""
    environ = {key: value for key, value in os.environ.items() if key != "LAYER_PLATFORM"}
    for layer, folder in FOLDERS.items():
        makefile = ROOT / "layers" / folder / "Makefile"
        subprocess.run(
            ["make", "--silent", "-f", str(makefile), f"build-{layer}", f"ARTIFACTS_DIR={target / layer}"],
            env=environ,
            cwd=target,
            check=True,
        )
    return target


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    return _build(tmp_path_factory.mktemp("layers"))


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """A folder with what the Lambda runtime has, and nothing else of the development environment."""
    folder = tmp_path_factory.mktemp("runtime")
    for name in RUNTIME_PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin)
        source = origin.parent if spec.submodule_search_locations else origin
        (folder / source.name).symlink_to(source)
    return folder


def _files(top: Path) -> dict[str, Path]:
    return {str(path.relative_to(top)): path for path in top.rglob("*") if path.is_file()}


def test_the_layers_together_stay_under_100_mib_unzipped(built):
    assert sum(path.stat().st_size for path in _files(built).values()) < 100 * MIB


def test_the_layers_hold_nothing_the_runtime_has_and_nothing_no_code_uses(built):
    tops = {path.name for layer in FOLDERS for path in (built / layer / "python").iterdir()}
    assert not tops & {*RUNTIME_PACKAGES, "scipy", "pywt", "PyWavelets", "pip", "setuptools", "bin", "images"}
    assert {"catalog", "aws_lambda_powertools", "pynamodb", "imaging", "PIL", "numpy", "imagehash"} <= tops


def test_the_catalog_layer_has_no_image_library(built):
    tops = {path.name for path in (built / "CatalogLayer/python").iterdir()}
    assert not tops & {"PIL", "numpy", "imagehash", "cykooz_resizer", "imaging"}


def test_every_module_is_compiled_for_python_3_13_and_needs_no_look_at_its_source(built):
    for name, path in _files(built).items():
        if path.suffix == ".py":
            compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc"
            assert compiled.exists(), name
            # PEP 552: flags 0b01 mean hash-based and unchecked.
            assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", name


def test_the_compiled_libraries_are_for_lambda(built):
    libraries = [name for name in _files(built) if ".cpython-" in name and name.endswith(".so")]
    assert libraries
    assert all(name.endswith(".cpython-313-x86_64-linux-gnu.so") for name in libraries)


def test_the_layers_keep_licences_and_drop_test_suites_and_stale_records(built):
    names = _files(built)
    for package in ("pillow", "numpy", "pynamodb", "aws_lambda_powertools"):
        assert [n for n in names if f"/{package}-" in n and "LICENSE" in n.upper()], package
    assert not [n for n in names if "/tests/" in n or n.endswith(("/RECORD", ".pyi", ".h"))]


def test_building_twice_gives_the_same_bytes_with_the_same_times(built, tmp_path):
    again = _build(tmp_path)
    first, second = _files(built), _files(again)
    assert first.keys() == second.keys()
    for name, path in first.items():
        assert path.read_bytes() == second[name].read_bytes(), name
        assert path.stat().st_mtime == second[name].stat().st_mtime, name
        assert path.stat().st_mode == second[name].stat().st_mode, name


def _import_in_a_fresh_interpreter(function, path, check="pass"):
    """Import a handler with `path`, its own folder and the standard library to import from, nothing else."""
    search = [str(handler(function).parent), *map(str, path)]
    program = (
        f"import sys; sys.path[:0] = {search!r}; import handler; assert callable(handler.handler); {check}"
    )
    given = {
        name: value if isinstance(value, str) else _stand_in(name)
        for name, value in environment(function).items()
    }
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        env={"AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1", **given},
        capture_output=True,
        text=True,
        check=False,
    )


def _stand_in(name):
    """A value for a setting that the template takes from a parameter or a resource."""
    return {
        "PRESETS": '[{"name": "thumb", "width": 200, "height": 200}]',
        "PRESETS_PER_JOB": "1",
        "PIXELS_RENDERED_ON_ARRIVAL": "50000000",
        "MAX_UPLOAD_BYTES": "10485760",
        "PIXEL_LIMITS": "{}",
        "PURGE_GRACE_DAYS": "30",
        "JOB_CONCURRENCY": "2",
        "OLD_RENDITIONS_SECONDS": "86400",
        "UPLOAD_URL_SECONDS": "900",
        "NEAR_DUPLICATE_ACTION": "reuse",
        "PHASH_ALGORITHM": "phash256",
        "PHASH_HAMMING_THRESHOLD": "-1",
        "WEBHOOKS_TO_LOOPBACK": "false",
        "LOG_LEVEL": "INFO",
    }.get(name, "something")


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_handler_imports_with_its_layers_and_the_runtime_alone(function, built, runtime):
    path = [*(built / layer / "python" for layer in layers(function)), runtime]
    done = _import_in_a_fresh_interpreter(function, path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("function", sorted(f for f in FUNCTIONS if "ImagingLayer" not in layers(f)))
def test_a_handler_without_the_imaging_layer_loads_neither_pil_nor_numpy(function, built, runtime):
    # With both layers at hand, so that it is the handler's choice and not its lack of them.
    path = [*(built / layer / "python" for layer in FOLDERS), runtime]
    loaded = "print([name for name in ('PIL', 'numpy', 'imaging') if name in sys.modules])"
    done = _import_in_a_fresh_interpreter(function, path, loaded)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
