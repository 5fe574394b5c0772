"""`csisim serve`: the driver on real sockets, until SIGTERM."""

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import typer

from csisim.cli import serve_options as flags
from csisim.cli.serve_options import checked

T = TypeVar("T")

# What a command needs is imported when it runs: `csisim --help` stays quick.
if TYPE_CHECKING:
    from csisim.cluster import Cluster, ClusterSettings, EmbeddedNas
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
    grace_period: flags.GracePeriodOption = 10.0,
    log_format: flags.LogFormatOption = flags.LogFormat.TEXT,
    verbosity: flags.VerbosityOption = 0,
    log_file: flags.LogFileOption = None,
    _version: flags.VersionOption = False,
) -> None:
    """Serve CSI on a socket until SIGTERM, over an embedded NAS or the one given."""
    from csisim.cluster import settings as of  # noqa: PLC0415
    from csisim.cluster.endpoint import parse_endpoint  # noqa: PLC0415
    from csisim.driver.config import DEFAULT_DRIVER_NAME, DriverConfig  # noqa: PLC0415

    where = _nas(nas, api_key, pool or [])
    first_pool = where.pools[0].name if isinstance(where, of.EmbeddedNas) else "tank"
    driver = DriverConfig(
        driver_name=checked("--driver-name", of.check_driver_name, driver_name or DEFAULT_DRIVER_NAME),
        root_dataset=checked("--root-dataset", of.check_root_dataset, root_dataset or f"{first_pool}/csi"),
        zone=checked("--zone", of.check_zone, zone),
        max_volumes_per_node=max_volumes,
        volume_health=flags.Feature.VOLUME_HEALTH in (enable or ()),
        device_timeout_s=device_timeout,
    )
    chosen: dict[str, Any] = {
        "driver": driver,
        "mode": of.Mode(mode),
        "node_ids": _node_ids(node_id, nodes, mode),
        "endpoint": checked("--endpoint", parse_endpoint, endpoint or flags.default_endpoint()),
        "nas": where,
        "state_dir": state_dir,
        "grace_period_s": grace_period,
    }
    settings = checked(None, lambda values: of.ClusterSettings(**values), chosen)
    rng = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 - --seed asks for it
    raise typer.Exit(_serve_logged(settings, rng, log_format, verbosity, log_file))


def _serve_logged(
    settings: "ClusterSettings", rng: random.Random, log_format: flags.LogFormat, verbosity: int, log_file: Path | None
) -> int:
    from csisim import logs  # noqa: PLC0415

    with _log_stream(log_file) as stream:
        logs.configure(log_format.value, verbosity=verbosity, stream=stream)
        return run(_serve(settings, rng, payloads=verbosity >= logs.PAYLOAD_VERBOSITY))


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on the fastest event loop there is; its clock ticks in milliseconds."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform == "linux":
        import uvloop  # noqa: PLC0415 - not installed elsewhere

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def _serve(settings: "ClusterSettings", rng: random.Random, *, payloads: bool) -> int:
    from csisim.cluster import Cluster, ClusterError  # noqa: PLC0415
    from csisim.driver.call_log import CallLog  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    asked, hurried = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        """The first signal drains, a second one no longer waits for running calls."""
        (hurried if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    try:
        async with Cluster(settings, rng=rng, observers=[CallLog(payloads=payloads)]) as cluster:
            _say_ready(cluster)
            await asked.wait()
            await _drain(cluster, hurried)
    except ClusterError as error:
        typer.echo(f"csisim serve: {error}", err=True)
        return 1
    return 0


async def _drain(cluster: "Cluster", hurried: asyncio.Event) -> None:
    draining = asyncio.create_task(cluster.stop_serving())
    hurry = asyncio.create_task(hurried.wait())
    await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
    if hurry.done():
        await cluster.stop_serving(grace_s=0.0)
    hurry.cancel()
    await draining


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


@contextlib.contextmanager
def _log_stream(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--log-file") from error
    with os.fdopen(descriptor, "a", buffering=1) as stream:
        yield stream
