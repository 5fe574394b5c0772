"""`csisim serve`: the driver on real sockets, until SIGTERM."""

import random
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from csisim.cli import fault_options as faulty
from csisim.cli import serve_options as flags
from csisim.cli.running import Signals, log_stream, run
from csisim.cli.serve_options import checked

# What a command needs is imported when it runs: `csisim --help` stays quick.
if TYPE_CHECKING:
    from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas
    from csisim.control.options import ControlOptions
    from csisim.driver.config import DriverConfig
    from csisim.faults.settings import FaultSettings
    from csisim.faults.sites import Site
    from csisim.truenas.settings import NasSettings


def serve(
    *,
    endpoint: flags.EndpointOption = None,
    node_id: flags.NodeIdOption = None,
    nodes: flags.NodesOption = 1,
    mode: flags.ModeOption = flags.ModeName.ALL,
    nas: flags.NasOption = None,
    api_key: flags.ApiKeyOption = None,
    driver_name: flags.DriverNameOption = None,
    max_volumes: flags.MaxVolumesOption = 0,
    state_dir: flags.StateDirOption = None,
    pool: flags.PoolOption = None,
    root_dataset: flags.RootDatasetOption = None,
    zone: flags.ZoneOption = "default",
    enable: flags.EnableOption = None,
    device_timeout: flags.DeviceTimeoutOption = 60.0,
    seed: flags.SeedOption = None,
    faults: faulty.FaultsOption = None,
    fault_seed: faulty.FaultSeedOption = None,
    call_faults: faulty.CallFaultsOption = False,
    control: faulty.ControlOption = None,
    control_token: faulty.ControlTokenOption = None,
    control_allow_remote: faulty.ControlAllowRemoteOption = False,
    grace_period: flags.GracePeriodOption = 10.0,
    log_format: flags.LogFormatOption = flags.LogFormat.TEXT,
    verbosity: flags.VerbosityOption = 0,
    log_file: flags.LogFileOption = None,
    _version: flags.VersionOption = False,
) -> None:
    """Serve CSI on a socket until SIGTERM, over an embedded NAS or the one given."""
    where = _nas(nas, api_key, pool or [])
    driver = _driver(where, driver_name, root_dataset, zone, enable or [])
    driver = replace(driver, max_volumes_per_node=max_volumes, device_timeout_s=device_timeout)
    settings = _settings(where, driver, mode, _node_ids(node_id, nodes, mode), endpoint, state_dir, grace_period)
    wanted = faulty.FaultFlags(
        files=tuple(faults or ()), seed=fault_seed, calls=call_faults,
        control=control, token=control_token, allow_remote=control_allow_remote,
    )  # fmt: skip
    rng = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - --seed asks for it
    served = _Served(settings, rng, wanted.control_options(), wanted.settings(lambda: _sites(where), seed))
    raise typer.Exit(_serve_logged(served, log_format, verbosity, log_file))


def _driver(
    where: "EmbeddedNas | NasSettings",
    name: str | None,
    root_dataset: str | None,
    zone: str,
    enable: "Sequence[flags.Feature]",
) -> "DriverConfig":
    from csisim.cluster import settings as of  # noqa: PLC0415
    from csisim.driver.config import DEFAULT_DRIVER_NAME, DriverConfig  # noqa: PLC0415

    first_pool = where.pools[0].name if isinstance(where, of.EmbeddedNas) else "tank"
    return DriverConfig(
        driver_name=checked("--driver-name", of.check_driver_name, name or DEFAULT_DRIVER_NAME),
        root_dataset=checked("--root-dataset", of.check_root_dataset, root_dataset or f"{first_pool}/csi"),
        zone=checked("--zone", of.check_zone, zone),
        volume_health=flags.Feature.VOLUME_HEALTH in enable,
    )


def _settings(
    where: "EmbeddedNas | NasSettings",
    driver: "DriverConfig",
    mode: flags.ModeName,
    node_ids: tuple[str, ...],
    endpoint: str | None,
    state_dir: Path | None,
    grace_period_s: float,
) -> "ClusterSettings":
    from csisim.cluster.settings import ClusterSettings, Mode  # noqa: PLC0415
    from csisim.endpoint import parse_endpoint  # noqa: PLC0415

    chosen: dict[str, Any] = {
        "driver": driver,
        "mode": Mode(mode),
        "node_ids": node_ids,
        "endpoint": checked("--endpoint", parse_endpoint, endpoint or flags.default_endpoint()),
        "nas": where,
        "state_dir": state_dir,
        "grace_period_s": grace_period_s,
    }
    return checked(None, lambda values: ClusterSettings(**values), chosen)


@dataclass(frozen=True, slots=True)
class _Served:
    """What the flags come to."""

    settings: "ClusterSettings"
    rng: random.Random
    control: "ControlOptions | None"
    faults: "FaultSettings | None"


def _sites(where: "EmbeddedNas | NasSettings") -> "Sequence[Site]":
    """What rules can be for."""
    from csisim.cluster.injection import nas_methods, sites  # noqa: PLC0415
    from csisim.truenas.settings import NasSettings  # noqa: PLC0415

    return sites(None if isinstance(where, NasSettings) else nas_methods())


def _serve_logged(served: _Served, log_format: flags.LogFormat, verbosity: int, log_file: Path | None) -> int:
    from csisim import logs  # noqa: PLC0415

    with log_stream(log_file) as stream:
        logs.configure(log_format.value, verbosity=verbosity, stream=stream)
        return run(_serve(served, payloads=verbosity >= logs.PAYLOAD_VERBOSITY))


async def _serve(served: _Served, *, payloads: bool) -> int:
    from csisim.call_log import CallLog  # noqa: PLC0415
    from csisim.cluster import Cluster, ClusterError  # noqa: PLC0415
    from csisim.cluster.controlled import ControlledCluster  # noqa: PLC0415

    signals = Signals()
    try:
        observers = [CallLog(payloads=payloads)]
        async with (
            Cluster(served.settings, rng=served.rng, observers=observers, faults=served.faults) as cluster,
            faulty.controlled(served.control, lambda: ControlledCluster(cluster, served.rng)),
        ):
            _say_ready(cluster)
            await signals.drained(cluster)
    except (ClusterError, faulty.ControlUnavailable) as error:
        typer.echo(f"csisim serve: {error}", err=True)
        return 1
    return 0


def _say_ready(cluster: "Cluster") -> None:
    """The lines that a supervisor waits for; the last one says ready."""
    settings = cluster.settings
    main_node = settings.node_ids[0] if settings.node_ids else ""
    for node_id, where in cluster.node_endpoints.items():
        if node_id != main_node:
            typer.echo(f"csisim node {node_id} on {where}")
    suffix = f" (node {main_node})" if main_node else ""
    typer.echo(f"csisim ready: driver {settings.driver.driver_name} on {cluster.endpoint}{suffix}")
    sys.stdout.flush()


def _nas(url: str | None, api_key: str | None, pools: list[str]) -> "EmbeddedNas | NasSettings":
    from csisim.cluster.settings import EmbeddedNas, parse_pools  # noqa: PLC0415
    from csisim.truenas.settings import NasSettings  # noqa: PLC0415

    if url is None:
        return EmbeddedNas(pools=checked("--pool", parse_pools, pools)) if pools else EmbeddedNas()
    if pools:
        raise typer.BadParameter("pools are for the embedded NAS; leave them out with --nas", param_hint="--pool")
    if not api_key:
        raise typer.BadParameter("--nas needs a key: set CSISIM_API_KEY or give --api-key", param_hint="--api-key")
    return checked("--nas", lambda text: NasSettings(url=text, api_key=api_key), url)


def _node_ids(given: str | None, nodes: int, mode: flags.ModeName) -> tuple[str, ...]:
    """The first node has the id given, further ones count on from it: node-1, node-2; host, host-2."""
    from csisim.cluster.settings import check_node_id  # noqa: PLC0415

    if mode is flags.ModeName.CONTROLLER:
        return ()
    first = checked("--node-id", check_node_id, given or socket.gethostname())
    stem = first.rstrip("0123456789")
    start = int(first[len(stem) :] or 1)
    stem = stem if stem != first else f"{first}-"
    further = [checked("--node-id", check_node_id, f"{stem}{start + number}") for number in range(1, nodes)]
    return (first, *further)
