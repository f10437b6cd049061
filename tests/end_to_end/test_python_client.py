"""The Python client and its command on the deployed stack, as their documents show them."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

import pytest
import requests

from catalog.domain.tenants import Scope
from infra.local import environments
from infra.local.proxy import Call, Passage, Proxy
from infra.operator.tenants import create_tenant_client
from infra.pictures.images import jpeg_bytes, noisy_scene
from tests.end_to_end.deployment import Deployment
from tests.examples import ROOT, texts

MOST_LINES: Final = 10
CLIENT_FILE: Final = ".local/demo/client.env"
COMMAND: Final = (sys.executable, "-m", "catalog_images")
# As from a terminal: whatever runs in a shell's background is started with Ctrl-C ignored.
FROM_A_TERMINAL: Final = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from catalog_images.cli.main import run
run()
"""


@pytest.fixture
def home(deployment: Deployment, tmp_path: Path) -> dict[str, str]:
    """An environment with the command installed, a client's file where the demo leaves it, and no login."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "catalog-images").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (programs / "catalog-images").chmod(0o755)
    made = create_tenant_client(
        "python-client", scopes=(Scope.READ, Scope.WRITE), outputs=deployment.stack.outputs
    )
    file = tmp_path / CLIENT_FILE
    file.parent.mkdir(parents=True)
    file.write_text(
        f"API={deployment.stack.api_url}\nTOKEN_URL={deployment.stack.token_url}\n"
        f"CLIENT_ID={made.client.client_id}\nCLIENT_SECRET={made.client_secret}\n"
    )
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "clients" / "python" / "src"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }


@pytest.fixture
def installed(home: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """`home`, where `pip install ./clients/python` brings the command; what it needs is installed already."""
    shutil.copytree(
        ROOT / "clients" / "python",
        tmp_path / "clients" / "python",
        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"),
    )
    target = tmp_path / "installed"
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--python", str(environments.python("dev")))
    pip = shlex.join([environments.command("dev", "uv"), "pip"])
    programs = tmp_path / "bin"
    (programs / "catalog-images").unlink()
    (programs / "pip").write_text(
        f'#!/bin/sh\nexec {pip} "$@" --quiet {shlex.join((*options, "--target", str(target)))}\n'
    )
    (programs / "pip").chmod(0o755)
    return home | {
        "PATH": f"{target / 'bin'}{os.pathsep}{home['PATH']}",
        "PYTHONPATH": str(target),
        **{name: value for name, value in environments.uv_environ().items() if name.startswith("UV_")},
    }


def draw(folder: Path, *seeds: int) -> None:
    folder.mkdir(parents=True)
    for seed in seeds:
        (folder / f"lamp-{seed}.jpg").write_bytes(jpeg_bytes(noisy_scene(seed, (400, 300))))


def run(home: Mapping[str, str], folder: Path, *command: str, answers: str = "") -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=home,
        input=answers,
        start_new_session=True,  # a secret is asked at the terminal, if there is one
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_calls_it_as_it_stands(installed: dict[str, str], tmp_path: Path) -> None:
    draw(tmp_path / "photos", 700, 701)

    (shown,) = texts("README.md", "bash", below="Call it")
    said = run(installed, tmp_path, "bash", "-euo", "pipefail", "-c", shown)

    hooks = json.loads(run(installed, tmp_path, "catalog-images", "webhooks", "list", "--json"))
    run(installed, tmp_path, "catalog-images", "webhooks", "delete", "shop")
    assert "2 sent" in said and "2 ready" in said
    assert (hooks["name"], hooks["url"]) == ("shop", "https://shop.example/hooks")
    assert "lamp-700.jpg" in said and "lamp-701.jpg" in said


def test_the_clients_readme_asks_who_calls_and_takes_references_from_folders(
    installed: dict[str, str], tmp_path: Path
) -> None:
    draw(tmp_path / "photos" / "SKU-4711", 703)
    client = dict(line.split("=", 1) for line in (tmp_path / CLIENT_FILE).read_text().splitlines())
    asked = "".join(f"{client[name]}\n" for name in ("API", "TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET"))

    (shown,) = texts("clients/python/README.md", "bash")
    said = run(installed, tmp_path, "bash", "-euo", "pipefail", "-c", shown, answers=asked)

    assert "1 ready" in said
    assert "lamp-703.jpg" in said.partition("1 ready")[2]  # found by its reference
    assert "--install-completion" in said


def test_ten_lines_of_python_bring_the_first_image_live(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "lamp.jpg").write_bytes(jpeg_bytes(noisy_scene(702, (1200, 900))))
    run(home, tmp_path, "catalog-images", "login", CLIENT_FILE)
    (program,) = texts("clients/python/README.md", "python")

    said = run(home, tmp_path, sys.executable, "-c", program)

    assert len(program.splitlines()) <= MOST_LINES
    presets = dict(line.split() for line in said.splitlines())
    assert [requests.get(url, timeout=30).status_code for url in presets.values()] == [200] * 3
    (listed, *_) = run(home, tmp_path, "catalog-images", "list", "--json").splitlines()
    assert json.loads(listed)["references"] == ["SKU-4711"]


class NoPolls(Passage):
    """Holds every question whether images are ready until the run was interrupted, and hangs up on it."""

    polled: ClassVar[threading.Event] = threading.Event()
    interrupted: ClassVar[threading.Event] = threading.Event()

    def serve(self, call: Call, body: bytes) -> None:
        if call.operation == "GET" and "/images?ids=" in self.path:
            self.polled.set()
            self.interrupted.wait(60)
            self.reset()
        else:
            self.answer(self.forward(body))


def test_a_sync_that_ctrl_c_interrupts_is_completed_by_the_next(
    deployment: Deployment, home: dict[str, str], tmp_path: Path
) -> None:
    draw(tmp_path / "photos", *range(710, 716))
    run(home, tmp_path, "catalog-images", "login", CLIENT_FILE)
    sync = [sys.executable, "-c", FROM_A_TERMINAL, "--json", "sync", "photos", "--parallel", "1"]
    port = deployment.stack.emulator.port
    with Proxy(0, port, NoPolls).running() as proxy:
        profiles = tmp_path / "config" / "catalog-images" / "profiles.json"
        direct = profiles.read_text()
        profiles.write_text(direct.replace(f":{port}/_aws", f":{proxy.server_address[1]}/_aws"))
        with subprocess.Popen(
            sync, cwd=tmp_path, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as interrupted:
            assert NoPolls.polled.wait(60)  # something was sent, nothing has come to its end
            interrupted.send_signal(signal.SIGINT)
            NoPolls.interrupted.set()
            told, said = interrupted.communicate(timeout=60)
    profiles.write_text(direct)

    assert (interrupted.returncode, told, said) == (130, "", "interrupted: run it again to go on\n")
    ends = [json.loads(line)["end"] for line in run(home, tmp_path, *sync).splitlines()]
    assert ends == ["ready"] * 6
