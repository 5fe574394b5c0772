"""`csisim shrink`: from a run that fails to the smallest one that fails in the same way."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from csisim.cli.ending import interrupted, until_signalled


def shrink(
    what: Annotated[str, typer.Argument(metavar="TOKEN|FILE", help="A run that fails, as csisim replay takes it.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what csisim replay reads here.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write one HTML page here, with the deciding steps marked.")] = None,
    runs: Annotated[int, typer.Option(min=1, help="Stop after so many runs, with what was found.")] = 2000,
    cpu_s: Annotated[float, typer.Option(min=0.0, help="The same for seconds of processor time.")] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Leave out of a failing run what it can do without: steps out of order, operations, volumes, nodes, faults.

    Exit status 0 if it was shrunk, and 2 for a wrong use; a run that does not fail is one.
    """
    from csisim.cli import explore_output, run_output  # noqa: PLC0415 - what a command needs is imported when it runs
    from csisim.cli.replay import read  # noqa: PLC0415
    from csisim.cli.serve_options import checked  # noqa: PLC0415
    from csisim.explore.shrink import Bounds  # noqa: PLC0415
    from csisim.explore.shrink import shrink as smallest_of  # noqa: PLC0415
    from csisim.explore.work import shrunk_of  # noqa: PLC0415
    from csisim.reports.story import story  # noqa: PLC0415

    run_output.prepare(verbose=False)
    plan = checked("TOKEN|FILE", read, what).plan
    with until_signalled() as end:
        smallest = checked("TOKEN|FILE", lambda given: smallest_of(given, bounds=Bounds(runs=runs, cpu_s=cpu_s)), plan)
    if end.signal:
        raise typer.Exit(interrupted(end))
    shrunk = shrunk_of(smallest)
    explore_output.write_run(smallest.result, html=html, replay=out)
    if json:
        typer.echo(json_text.dumps(shrunk.to_json() | {"report": smallest.result.report.to_json()}))
        return
    typer.echo(story(smallest.result.report.to_json(), smallest.result.events).rstrip("\n"))
    typer.echo(f"\nshrunk to {explore_output.facts(shrunk)}")
