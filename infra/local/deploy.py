"""Deploy the application to the emulator with plain `sam build` and `sam deploy`, and find it again.

python -m infra.local.deploy [--port 4566] [--name demo] [--account 000000000001]

stack = ensure_deployed(Emulator())
requests.get(stack.api_url + "/images", headers={"Authorization": token})
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.local import environments
from infra.local.cdn import complete_cdn
from infra.local.emulator import STATE_ROOT, Emulator, EmulatorError, arguments
from infra.local.gateway import complete_api

if TYPE_CHECKING:
    import boto3

ROOT: Final = environments.ROOT
_SOURCES: Final = (
    "template.yaml",
    "samconfig.toml",
    "functions",
    "layers",
    "infra/jobs.asl.json",
    "infra/observability.yaml",
    "infra/build_layer.py",
    "requirements/bootstrap.txt",
)


class DeploymentError(RuntimeError):
    """The application could not be built or deployed; the message has CloudFormation's reason."""


@dataclass(frozen=True)
class Stack:
    """A deployed application: its CloudFormation outputs and how to reach it."""

    name: str
    emulator: Emulator
    outputs: Mapping[str, str]

    @property
    def api_url(self) -> str:
        """Where the API answers, without a trailing slash."""
        return f"{self.emulator.endpoint}/_aws/execute-api/{self.outputs['ApiId']}/v1"

    @property
    def token_url(self) -> str:
        """Where client credentials become an access token."""
        return f"{self.emulator.endpoint}/oauth2/token"

    @cached_property
    def session(self) -> "boto3.Session":
        """A session of the account's root user, which may look at and change anything."""
        return session(self.emulator)

    def parameters(self) -> dict[str, str]:
        """The parameters' values as they are deployed now."""
        (described,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return {entry["ParameterKey"]: entry["ParameterValue"] for entry in described["Parameters"]}

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated account."""
        return self.session.client(service, endpoint_url=self.emulator.endpoint)  # type: ignore[call-overload]


def session(emulator: Emulator) -> "boto3.Session":
    """A boto3 session of the emulated account's root user."""
    import boto3  # noqa: PLC0415 - costs 0.2 s, and `make help` or `make down` need none

    credentials = emulator.credentials
    return boto3.Session(
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
        region_name=credentials["AWS_REGION"],
    )


def ensure_deployed(
    emulator: Emulator, *, name: str | None = None, parameters: Mapping[str, str] | None = None
) -> Stack:
    """Deploy the working tree to a running emulator, unless it is deployed already.

    Takes under a second if nothing has changed, otherwise 10-20 s.  `parameters` override those of
    samconfig.toml's [local]; as on AWS, a parameter that is not given keeps its last value.
    Raises DeploymentError.
    """
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["local"]["deploy"]["parameters"]
    name = name or settings["stack_name"]
    note = _note(emulator, name)
    before = json.loads(note.read_text()) if note.exists() else {}
    stack = _ensure(emulator, name, before | dict(parameters or {}))
    note.unlink(missing_ok=True)
    return stack


@contextmanager
def deployed_with(stack: Stack, **parameters: str) -> Iterator[None]:
    """Give some parameters other values, and then those from before; the template stays.

    Killed meanwhile, the next deployment goes back.  Raises DeploymentError.
    """
    note = _note(stack.emulator, stack.name)
    before = {name: stack.parameters()[name] for name in parameters}
    note.write_text(json.dumps(before))
    try:
        _update(stack, parameters)
        yield
    finally:
        _update(stack, before)
        note.unlink()


def _update(stack: Stack, parameters: Mapping[str, str]) -> None:
    """Takes 3 s, of which a whole deployment takes 13."""
    cloudformation = stack.client("cloudformation")
    kept = stack.parameters().keys() - parameters.keys()
    cloudformation.update_stack(
        StackName=stack.name,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            *({"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()),
            *({"ParameterKey": name, "UsePreviousValue": True} for name in sorted(kept)),
        ],
    )
    while (status := _status(cloudformation, stack.name)).endswith("_IN_PROGRESS"):
        time.sleep(0.2)
    if status != "UPDATE_COMPLETE":
        raise DeploymentError(
            "\n".join([f"{stack.name} is {status}", *_failures(stack.name, stack.emulator)])
        )


def _status(cloudformation: Any, name: str) -> str:
    (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return str(described["StackStatus"])


def _note(emulator: Emulator, name: str) -> Path:
    """Parameters to go back to, while others are deployed for a while."""
    return emulator.folder / f"{name}.before.json"


def _ensure(emulator: Emulator, name: str, parameters: Mapping[str, str]) -> Stack:
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())["local"]["deploy"]["parameters"]
    overrides = dict(pair.split("=", 1) for pair in settings["parameter_overrides"]) | dict(parameters)
    sources = _fingerprint_of_sources()
    wanted = hashlib.sha256(json.dumps([sources, name, overrides], sort_keys=True).encode()).hexdigest()
    stamp = emulator.folder / f"{name}.deployed"
    with _locked(emulator.folder / "deploy.lock"):
        if stamp.exists() and stamp.read_text() == wanted and (stack := find(emulator, name)):
            return stack
        log = emulator.folder / "deploy.log"
        log.write_text("")
        stamp.write_text("unfinished")
        with _locked(STATE_ROOT / "build.lock"):
            _build(sources, emulator, log)
            _deploy(name, overrides, emulator, log)
        stack = find(emulator, name)
        if stack is None:
            raise DeploymentError(f"the stack {name} is not there after its deployment: {log}")
        complete_api(
            stack.outputs["ApiId"],
            name,
            cloudformation=stack.client("cloudformation"),
            apigateway=stack.client("apigateway"),
        )
        _complete_cdn(stack)
        emulator.save()
        stamp.write_text(wanted)
    return stack


def _complete_cdn(stack: Stack) -> str | None:
    """The CDN's local address, which the functions then know; None without one."""
    domain = stack.outputs.get("CdnAddress")
    functions = stack.client("lambda")
    return complete_cdn(domain, stack.emulator.endpoint, functions=functions) if domain else None


@contextmanager
def with_cdn(stack: Stack) -> Iterator[str]:
    """Serve renditions from CloudFront for a while, at this address.  Raises DeploymentError."""
    with deployed_with(stack, EnableCdn="true"):
        deployed = find(stack.emulator, stack.name)
        address = _complete_cdn(deployed) if deployed else None
        if address is None:
            raise DeploymentError(f"{stack.name} has no CDN after it was enabled")
        yield address


def find(emulator: Emulator, name: str) -> Stack | None:
    """The stack, if it is deployed completely."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - see session()

    cloudformation = session(emulator).client("cloudformation", endpoint_url=emulator.endpoint)
    try:
        described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        return None
    if described["StackStatus"] not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        return None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return Stack(name, emulator, outputs)


def _fingerprint_of_sources() -> str:
    digest = hashlib.sha256()
    for name in _SOURCES:
        top = ROOT / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            if path.suffix != ".pyc" and path.exists():
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _build(sources: str, emulator: Emulator, log: Path) -> None:
    built = STATE_ROOT / "build.sources"
    if built.exists() and built.read_text() == sources:
        return
    built.unlink(missing_ok=True)
    # sam's cache knows the layers' folders but not the program that builds them.
    builder = hashlib.sha256((ROOT / "infra/build_layer.py").read_bytes()).hexdigest()[:8]
    cache = STATE_ROOT / "build-cache" / builder
    _sam(["build", "--config-env", "local", "--cache-dir", str(cache)], "build", emulator, log)
    built.write_text(sources)


def override(key: str, value: str) -> str:
    """A value for `sam deploy --parameter-overrides`; sam ends an unquoted one at a quote."""
    return f"{key}={json.dumps(value)}" if set(value) & set("\"' ") else f"{key}={value}"


def presets_of(file: Path) -> str:
    """The parameter Presets from a JSON file.  Raises DeploymentError."""
    try:
        return json.dumps(json.loads(file.read_text()), separators=(",", ":"))
    except (OSError, ValueError) as error:
        raise DeploymentError(f"no presets in {file}: {error}") from error


def _deploy(name: str, overrides: Mapping[str, str], emulator: Emulator, log: Path) -> None:
    pairs = [override(key, value) for key, value in overrides.items()]
    command = ["deploy", "--config-env", "local", "--stack-name", name, "--parameter-overrides", *pairs]
    try:
        _sam(command, "deploy", emulator, log)
    except DeploymentError as error:
        reasons = _failures(name, emulator)
        if not reasons:
            raise
        raise DeploymentError("\n".join([str(error), *reasons])) from error


def _sam(arguments_: list[str], step: str, emulator: Emulator, log: Path) -> None:
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        **emulator.credentials,
        "LAYER_PLATFORM": "host",
        "SAM_CLI_TELEMETRY": "0",
        # sam looks for a python3.13 to build functions with; both environments have one.
        "PATH": f"{environments.VENVS / 'sam' / 'bin'}:{os.environ.get('PATH', os.defpath)}",
    }
    started = time.monotonic()
    print(f"  {step} ...", file=sys.stderr, flush=True)
    with log.open("a") as output:
        done = subprocess.run(
            [environments.command("sam", "sam"), *arguments_],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise DeploymentError(f"sam {step} failed, full log in {log}:\n{_reason(log)}")
    print(f"  {step}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _reason(log: Path) -> str:
    """sam's last error, else the end of its log."""
    text = log.read_text(errors="replace")
    _, _, error = text.rpartition("\nError: ")
    return error.strip() or "\n".join(text.splitlines()[-20:])


def _failures(name: str, emulator: Emulator) -> list[str]:
    """CloudFormation's reasons for failed resources of a stack, oldest first."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - see session()

    cloudformation = session(emulator).client("cloudformation", endpoint_url=emulator.endpoint)
    try:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    except ClientError:
        return []  # no stack was created, and sam has said why
    return [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in reversed(events)
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
    ]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time in: all deployments share one build folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = arguments("Deploy the application to the running emulator.")
    parser.add_argument("--presets", type=Path, help="a JSON file for the parameter Presets")
    parser.add_argument("--cdn", action="store_true", help="serve renditions from CloudFront")
    chosen = parser.parse_args()
    emulator = Emulator(port=chosen.port, name=chosen.name, account=chosen.account)
    try:
        environments.ensure("sam", "emulator")
        emulator.up()
        parameters = {"Presets": presets_of(chosen.presets)} if chosen.presets else {}
        parameters |= {"EnableCdn": "true"} if chosen.cdn else {}
        stack = ensure_deployed(emulator, parameters=parameters)
    except (DeploymentError, EmulatorError, environments.EnvironmentSetupError) as error:
        sys.exit(f"error: {error}")
    print(f"{stack.name} is deployed\nAPI={stack.api_url}\nTOKEN_URL={stack.token_url}")


if __name__ == "__main__":
    main()
