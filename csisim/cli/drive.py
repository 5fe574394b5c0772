"""`csisim drive`: an orchestrator and every check that needs no view inside, against any CSI driver."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli import drive_options as flags

if TYPE_CHECKING:
    from csisim.co.manifests import Manifests
    from csisim.runs.drive import DriveResult
    from csisim.runs.drive_plan import DrivePlan


def drive(
    *,
    endpoint: flags.EndpointOption = None,
    controller_endpoint: flags.ControllerOption = None,
    node: flags.NodeOption = None,
    file: flags.FileOption = None,
    workload: flags.WorkloadOption = "co",
    size: flags.SizeOption = "2x1",
    storage_class_parameter: flags.ParameterOption = None,
    secret: flags.SecretOption = None,
    access_mode: flags.AccessModeOption = "ReadWriteOnce",
    volume_mode: flags.VolumeModeOption = "both",
    fs_type: flags.FsTypeOption = "",
    size_bytes: flags.SizeBytesOption = 1 << 30,
    seed: flags.SeedOption = 0,
    timeout: flags.TimeoutOption = 120.0,
    speed: flags.SpeedOption = 10.0,
    patience: flags.PatienceOption = 1.0,
    kubelet_dir: flags.KubeletDirOption = None,
    proxy_control: flags.ProxyControlOption = "",
    proxy_token: flags.ProxyTokenOption = None,
    faults: flags.FaultsOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Write a JUnit report here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page here.")] = None,
    history: Annotated[Path | None, typer.Option(help="Write the events here, as JSON lines.")] = None,
) -> None:
    """Have an orchestrator use a CSI driver as Kubernetes would, and check everything that can be seen from outside.

    Only what this run creates is ever touched: it bears the number of the run, and is deleted in the end. Exit status
    0 if everything held, 1 if something did not or could not be decided, 2 for a wrong use or a driver out of reach.
    """
    plan = flags.plan_of(
        endpoint, controller_endpoint, node=node or [], file=file or [], size=size, secrets=secret or [],
        parameters=storage_class_parameter or [], kubelet_dir=kubelet_dir, faults=faults or [], workload=workload,
        access_mode=access_mode, volume_mode=volume_mode, fs_type=fs_type, size_bytes=size_bytes, seed=seed,
        timeout_s=timeout, speed=speed, patience=patience, proxy_control=proxy_control,
    )  # fmt: skip
    raise typer.Exit(
        _drive(plan, file or [], proxy_token, {"junit": junit, "html": html, "history": history}, json=json)
    )


def _drive(plan: "DrivePlan", file: list[Path], token: str | None, files: dict[str, Any], *, json: bool) -> int:
    import asyncio  # noqa: PLC0415 - what a command needs is imported when it runs

    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.cli.serve_options import checked  # noqa: PLC0415
    from csisim.co.manifests import load  # noqa: PLC0415
    from csisim.runs.stranger import CannotDrive  # noqa: PLC0415

    manifests = checked("--file", load, file) if file else None
    written = run_output.Files(**files).checked()
    run_output.prepare(verbose=False)
    try:
        found = asyncio.run(_patiently(plan, manifests, token))
    except CannotDrive as error:
        typer.echo(f"csisim drive: {error}", err=True)
        return 2
    run_output.show(found.result, json=json, more=found.more)
    written.write(found.result, more=found.more)
    return run_output.status(found.result.report.verdict)


async def _patiently(plan: "DrivePlan", manifests: "Manifests | None", token: str | None) -> "DriveResult":
    """SIGINT or SIGTERM: tidy up in a bounded time, and say what is left; a second one ends that too."""
    import asyncio  # noqa: PLC0415
    import signal  # noqa: PLC0415

    from csisim.runs.drive import Patience, drive  # noqa: PLC0415

    patience = Patience()

    def signalled() -> None:
        if patience.asked.is_set():
            patience.hurried.set()
        else:
            typer.echo("csisim drive: tidying up; once more to leave everything as it is", err=True)
            patience.asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    typer.echo(f"csisim drive: run {plan.run}: every volume and snapshot bears this in its name", err=True)
    try:
        return await drive(plan, manifests, token=token, patience=patience)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
