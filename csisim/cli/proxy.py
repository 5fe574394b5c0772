"""`csisim proxy`: faults in front of any CSI driver, until SIGTERM."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from csisim.cli import fault_options as faulty
from csisim.cli import serve_options as flags
from csisim.cli.running import Signals, log_stream, run
from csisim.cli.serve_options import checked

# What a command needs is imported when it runs: `csisim --help` stays quick.
if TYPE_CHECKING:
    from csisim.control.options import ControlOptions
    from csisim.proxy import ProxySettings

ListenOption = Annotated[
    str, typer.Option("--listen", help="Where callers find it: unix:///dir/csi.sock or tcp://127.0.0.1:PORT.")
]
UpstreamOption = Annotated[
    str, typer.Option("--upstream", help="Where the driver listens; it may start later, and come and go.")
]


def proxy(
    *,
    listen: ListenOption,
    upstream: UpstreamOption,
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
    """Stand in front of a CSI driver: pass every call on unchanged, but for the faults that rules ask for."""
    from csisim import logs  # noqa: PLC0415
    from csisim.endpoint import parse_endpoint, parse_upstream  # noqa: PLC0415
    from csisim.faults.settings import FaultSettings  # noqa: PLC0415
    from csisim.faults.sites import rpc_sites  # noqa: PLC0415
    from csisim.proxy import ProxySettings  # noqa: PLC0415

    where, behind = checked("--listen", parse_endpoint, listen), checked("--upstream", parse_upstream, upstream)
    wanted = faulty.FaultFlags(
        files=tuple(faults or ()), seed=fault_seed, calls=call_faults,
        control=control, token=control_token, allow_remote=control_allow_remote,
    )  # fmt: skip
    chosen = wanted.settings(lambda: rpc_sites(local=False), None) or FaultSettings()
    settings = checked(
        "--upstream",
        lambda driver: ProxySettings(listen=where, upstream=driver, faults=chosen, grace_period_s=grace_period),
        behind,
    )
    options = wanted.control_options()
    with log_stream(log_file) as stream:
        logs.configure(log_format.value, verbosity=verbosity, stream=stream)
        raise typer.Exit(run(_serve(settings, options, payloads=verbosity >= logs.PAYLOAD_VERBOSITY)))


async def _serve(settings: "ProxySettings", control: "ControlOptions | None", *, payloads: bool) -> int:
    from csisim.call_log import CallLog  # noqa: PLC0415
    from csisim.proxy import Proxy  # noqa: PLC0415
    from csisim.sockets import EndpointError  # noqa: PLC0415

    signals = Signals()
    try:
        async with (
            Proxy(settings, observers=[CallLog(payloads=payloads)]) as running,
            faulty.controlled(control, lambda: running),
        ):
            typer.echo(f"csisim proxy ready: {running.endpoint} -> {settings.upstream}")
            sys.stdout.flush()
            await signals.drained(running)
    except (EndpointError, faulty.ControlUnavailable) as error:
        typer.echo(f"csisim proxy: {error}", err=True)
        return 1
    return 0
