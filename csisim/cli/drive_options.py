"""The options of `csisim drive`, and the plan that they make."""

import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.run_options import planned, rules_of

if TYPE_CHECKING:
    from csisim.endpoint import Endpoint
    from csisim.runs.drive_plan import DrivePlan

EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint", help="Where the driver listens: unix:///dir/csi.sock or tcp://127.0.0.1:PORT."),
]
ControllerOption = Annotated[
    str | None, typer.Option("--controller-endpoint", help="Its controller, if that listens elsewhere.")
]
NodeOption = Annotated[
    list[str] | None,
    typer.Option("--node", metavar="NAME=URI", help="A node service; may be repeated. By default that of --endpoint."),
]
FileOption = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="Kubernetes manifests, or directories of them, instead of built-in intents."),
]
WorkloadOption = Annotated[
    str, typer.Option("--workload", help="co has an orchestrator bring intents about; clients make random calls.")
]
SizeOption = Annotated[
    str, typer.Option("--size", metavar="UxR", help="Users x rounds of the built-in intents, or clients x calls.")
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option("--storage-class-parameter", metavar="KEY=VALUE", help="Of the StorageClass; may be repeated."),
]
SecretOption = Annotated[
    list[str] | None,
    typer.Option(
        "--secret", metavar="NAME=FILE", help="Of lines KEY=VALUE; may be repeated. A single one is used everywhere."
    ),
]
AccessModeOption = Annotated[
    str, typer.Option("--access-mode", help="Of claims, such as ReadWriteOnce or ReadWriteMany.")
]
VolumeModeOption = Annotated[str, typer.Option("--volume-mode", help="Filesystem, Block or both.")]
FsTypeOption = Annotated[str, typer.Option("--fs-type", help="Of file systems; the driver's own choice by default.")]
SizeBytesOption = Annotated[int, typer.Option("--size-bytes", help="Of a claim at first; it grows by as much.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of content and pauses.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", help="Seconds that anything may take to come true.")]
SpeedOption = Annotated[
    float, typer.Option("--speed", help="How many times shorter pauses are than those of Kubernetes.")
]
PatienceOption = Annotated[
    float, typer.Option("--patience", help="How many times longer calls may take than in Kubernetes.")
]
KubeletDirOption = Annotated[
    Path | None,
    typer.Option(
        "--kubelet-dir", help="Where kubelets' directories are made; the driver must see them under the same path."
    ),
]
ProxyControlOption = Annotated[
    str, typer.Option("--proxy-control", metavar="URL", help="Control server of the csisim proxy that --endpoint is.")
]
ProxyTokenOption = Annotated[
    str | None,
    typer.Option("--proxy-token", envvar="CSISIM_CONTROL_TOKEN", help="That the control server asks for."),
]
FaultsOption = Annotated[
    list[str] | None,
    typer.Option("--faults", metavar="RULE|@FILE", help="For that proxy, during the first phase; may be repeated."),
]

_DEFAULT_NODE = "node-1"
_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})", re.ASCII)
_MOST_BYTES = 1 << 20


def plan_of(
    endpoint: str | None,
    controller: str | None,
    *,
    node: list[str],
    file: list[Path],
    size: str,
    parameters: list[str],
    secrets: list[str],
    kubelet_dir: Path | None,
    faults: list[str],
    **members: Any,
) -> "DrivePlan":
    """What was asked for, under a run number of its own: the flags as they came, and further members of `DrivePlan`.

    Raises:
        typer.BadParameter: something is not as it should be; says what.
    """
    from csisim.runs.drive_plan import DrivePlan  # noqa: PLC0415 - what a command needs is imported when it runs

    match = _SIZE.fullmatch(size)
    if match is None:
        raise typer.BadParameter(f"{size!r} is not UxR, such as 2x1", param_hint="--size")
    where, nodes = _where(endpoint, controller, node)
    members |= {
        "controller": where,
        "nodes": nodes,
        "guessed": not node,
        "run": f"{random.SystemRandom().getrandbits(32):08x}",
        "manifests": tuple(map(str, file)),
        "users": int(match[1]),
        "rounds": int(match[2]),
        "parameters": _pairs(parameters, "--storage-class-parameter"),
        "secrets": {name: _secret(name, Path(path)) for name, path in _pairs(secrets, "--secret").items()},
        "kubelet_dir": "" if kubelet_dir is None else str(kubelet_dir.absolute()),
        "rules": rules_of(faults),
    }
    return planned(lambda: DrivePlan(**members))


def _where(endpoint: str | None, controller: str | None, nodes: list[str]) -> "tuple[Endpoint, Mapping[str, Endpoint]]":
    from csisim.cli.serve_options import checked  # noqa: PLC0415
    from csisim.endpoint import parse_upstream  # noqa: PLC0415

    if not endpoint:
        if not controller:
            raise typer.BadParameter("say where the driver listens", param_hint="--endpoint")
        return checked("--controller-endpoint", parse_upstream, controller), _nodes(nodes)
    both = checked("--endpoint", parse_upstream, endpoint)
    where = checked("--controller-endpoint", parse_upstream, controller) if controller else both
    return where, _nodes(nodes) or {_DEFAULT_NODE: both}


def _nodes(nodes: list[str]) -> "dict[str, Endpoint]":
    from csisim.cli.serve_options import checked  # noqa: PLC0415
    from csisim.endpoint import parse_upstream  # noqa: PLC0415

    return {name: checked("--node", parse_upstream, uri) for name, uri in _pairs(nodes, "--node").items()}


def _pairs(given: list[str], flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{each.partition('=')[0][:80]!r} has no '=' and value", param_hint=flag)
        if key in found:
            raise typer.BadParameter(f"{key!r} is given twice", param_hint=flag)
        found[key] = value
    return found


def _secret(name: str, path: Path) -> dict[str, str]:
    """Lines KEY=VALUE; empty ones and those that begin with # do not count. Never shown, also not in errors."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip() or key.strip() in found:
            raise typer.BadParameter(
                f"{path}: line {number} of secret {name!r} is no KEY=VALUE with a key of its own", param_hint="--secret"
            )
        found[key.strip()] = value
    if not found:
        raise typer.BadParameter(f"{path}: no KEY=VALUE in it", param_hint="--secret")
    return found


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) <= _MOST_BYTES:
            return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        # The error of a decoder would show the bytes.
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise typer.BadParameter(f"{path}: {why}", param_hint="--secret") from None
    raise typer.BadParameter(f"{path}: more than {_MOST_BYTES} bytes", param_hint="--secret")
