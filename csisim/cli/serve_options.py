"""The flags of `csisim serve`: spelling, range and help; both spellings that CSI drivers use are taken."""

import os
import tempfile
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from csisim import __version__

T = TypeVar("T")
V = TypeVar("V")


class ModeName(StrEnum):
    """Values of --mode."""

    ALL = "all"
    CONTROLLER = "controller"
    NODE = "node"


class Feature(StrEnum):
    """Values of --enable."""

    VOLUME_HEALTH = "volume-health"


class LogFormat(StrEnum):
    """Values of --log-format."""

    TEXT = "text"
    JSON = "json"


def print_version(wanted: bool) -> None:
    """Answer --version and exit."""
    if wanted:
        typer.echo(f"csisim {__version__}")
        raise typer.Exit


def checked(flag: str | None, check: Callable[[V], T], value: V) -> T:
    """The checked value of a flag; a ValueError becomes a usage error (exit status 2) that names the flag."""
    try:
        return check(value)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=flag) from error


def in_range(least: float, most: float) -> Callable[[float], float]:
    """A callback that refuses other numbers, naming the value: the library's own check does not."""

    def check(value: float) -> float:
        if not least <= value <= most:
            raise typer.BadParameter(f"{value} is not a number from {least} to {most}")
        return value

    return check


def default_endpoint() -> str:
    """A socket where other users cannot get in the way; usage error where there is no such place."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    directory = Path(base) / "csisim" if base else Path(tempfile.gettempdir()) / f"csisim-{os.getuid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise typer.BadParameter(f"{directory}: {error.strerror}; name one", param_hint="--endpoint") from error
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise typer.BadParameter(f"{directory} is not yours alone; name another place", param_hint="--endpoint")
    return f"unix://{directory}/csi.sock"


EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="CSI_ENDPOINT",
        show_envvar=True,
        help="unix:///dir/csi.sock or tcp://127.0.0.1:PORT; by default a socket in your runtime directory.",
    ),
]
NodeIdOption = Annotated[
    str | None,
    typer.Option("--node-id", "--nodeid", help="By default the host name; further --nodes count on from it."),
]
NodesOption = Annotated[
    int,
    typer.Option(
        "--nodes", callback=in_range(1, 1000), help="Nodes in this process; each further one has its own socket."
    ),
]
ModeOption = Annotated[ModeName, typer.Option("--mode", help="Which services to offer.")]
NasOption = Annotated[
    str | None, typer.Option("--nas", help="ws://host[:port]/api/current of a TrueNAS; by default one is embedded.")
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar="CSISIM_API_KEY", show_envvar=True, help="Key for --nas; the variable keeps it out of ps."
    ),
]
DriverNameOption = Annotated[
    str | None, typer.Option("--driver-name", "--drivername", help="As in the CSIDriver object.")
]
MaxVolumesOption = Annotated[
    int,
    typer.Option(
        "--max-volumes-per-node",
        "--maxvolumespernode",
        "--attach-limit",
        callback=in_range(0, 1_000_000),
        help="Attach limit; 0 for none.",
    ),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", "--statedir", help="Keep all state in this directory; by default in memory."),
]
PoolOption = Annotated[
    list[str] | None, typer.Option("--pool", help="Pool of the embedded NAS, repeatable; by default tank:1TiB.")
]
RootDatasetOption = Annotated[
    str | None, typer.Option("--root-dataset", help="Dataset that holds all volumes; by default csi on the first pool.")
]
ZoneOption = Annotated[str, typer.Option("--zone", help="Topology segment of the NAS and its nodes.")]
EnableOption = Annotated[
    list[Feature] | None, typer.Option("--enable", help="A feature that is off by default; repeatable.")
]
DeviceTimeoutOption = Annotated[
    float, typer.Option("--device-timeout", callback=in_range(0.1, 3600), help="Seconds to wait for a block device.")
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Makes random choices repeatable, the embedded NAS's key included.")
]
GracePeriodOption = Annotated[
    float,
    typer.Option("--grace-period", callback=in_range(0, 3600), help="Seconds that running calls get after SIGTERM."),
]
LogFormatOption = Annotated[LogFormat, typer.Option("--log-format", help="On standard error.")]
VerbosityOption = Annotated[
    int, typer.Option("-v", "--v", callback=in_range(0, 10), help="3 logs calls, 5 also requests and responses.")
]
LogFileOption = Annotated[Path | None, typer.Option("--log-file", help="Append the log to a file instead.")]
VersionOption = Annotated[
    bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
]
