"""`csisim sweep`: every call, mount and file operation of a volume's life fails once, and the end is looked at."""

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from csisim.cli.ending import End, stopped, until_stopped
from csisim.cli.run_options import check_jobs
from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from rich.console import Console

    from csisim.sweep.campaign import Order, Sweep


def sweep(
    *,
    protocol: Annotated[
        list[str] | None, typer.Option(help="nfs, iscsi or nvmeof; may be repeated. All three by default.")
    ] = None,
    site: Annotated[
        str, typer.Option(metavar="GLOB", help="Only the sites like this: 'nas.*', 'mount.umount*'.")
    ] = "*",
    case: Annotated[
        list[str] | None,
        typer.Option(metavar="'STORY SITE: #N FAULT'", help="Only this case, for one protocol; may be repeated."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Repeats the choices of an earlier run; random by default.")] = None,
    jobs: Annotated[
        int, typer.Option(callback=check_jobs, help="Processes to run cases in; one per processor by default.")
    ] = os.cpu_count() or 1,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many cases, chosen at random.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object, progress elsewhere.")
    ] = False,
) -> None:
    """Fail each passing of each fault site of a life cycle once, and check what every run leaves behind.

    Exit status 0 if everything held, 1 if something did not, 2 if the sweep could not be run, 3 if a worker has died,
    130 after SIGINT, 143 after SIGTERM; what was found by then is printed.
    """
    # gRPC's core has its own log, and tells of every connection that is cut here on purpose.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from rich.console import Console  # noqa: PLC0415 - what a command needs is imported when it runs

    from csisim.cli import sweep_report  # noqa: PLC0415
    from csisim.sweep.campaign import Sweep  # noqa: PLC0415

    chosen = random.SystemRandom().getrandbits(31) if seed is None else seed
    result = Sweep(_order(protocol or [], site, case or [], chosen, limit))
    console = Console(stderr=json)
    started_s = time.perf_counter()
    end = _run(result, jobs, console)
    duration_s = time.perf_counter() - started_s
    status = stopped("sweep", end, f" after {len(result.outcomes)} of {result.known} cases")
    if json:
        typer.echo(sweep_report.to_json(result, duration_s))
    else:
        sweep_report.print_result(result, duration_s, console)
    raise typer.Exit(status or (1 if result.violations else 0))


def _order(protocols: list[str], site: str, cases: list[str], seed: int, limit: int | None) -> "Order":
    from csisim.sweep.campaign import Order  # noqa: PLC0415
    from csisim.sweep.cases import PROTOCOLS, parse_case  # noqa: PLC0415
    from csisim.sweep.stories import stories_of  # noqa: PLC0415

    for name in protocols:
        if name not in PROTOCOLS:
            raise typer.BadParameter(f"{name!r} is not one of {', '.join(PROTOCOLS)}", param_hint="--protocol")
    if cases and len(protocols) != 1:
        raise typer.BadParameter("give one --protocol with it", param_hint="--case")
    parsed = tuple(checked("--case", lambda text: parse_case(protocols[0], text), each) for each in cases)
    for each in parsed:
        if each.story not in stories_of(each.protocol):
            known = ", ".join(stories_of(each.protocol))
            raise typer.BadParameter(f"{each.story!r} is no story of {each.protocol}: {known}", param_hint="--case")
    return Order(
        protocols=tuple(dict.fromkeys(protocols)) or PROTOCOLS, site=site, seed=seed, limit=limit, cases=parsed
    )


def _run(result: "Sweep", jobs: int, console: "Console") -> End:
    from csisim.executors import processes  # noqa: PLC0415
    from csisim.sweep import campaign  # noqa: PLC0415

    try:
        with until_stopped() as end, processes(jobs) as place, _progress_on(console) as progress:
            campaign.sweep(result, place.executor, progress)
    except (ValueError, RuntimeError) as error:
        typer.echo(f"csisim sweep: {error}", err=True)
        raise typer.Exit(2) from error
    return end


@contextmanager
def _progress_on(console: "Console") -> Iterator[Callable[[int, int, int], None]]:
    """A line with rate and time left: in place on a terminal, elsewhere about every tenth of the way."""
    started_s = time.perf_counter()
    shown = 0

    def text(done: int, total: int, bad: int) -> str:
        elapsed_s = time.perf_counter() - started_s
        rate = done / elapsed_s if elapsed_s else 0.0
        left = f"{(total - done) / rate:.0f} s left" if rate else "starting"
        return f"{done}/{total} cases, {rate:.1f}/s, {left}, {bad} violations"

    if console.is_terminal:
        with console.status("recording what there is to fail") as status:
            yield lambda done, total, bad: status.update(text(done, total, bad))
        return

    def line(done: int, total: int, bad: int) -> None:
        nonlocal shown
        tenth = 10 * done // total if total else 10
        if tenth > shown or done == total:
            shown = tenth
            console.print(text(done, total, bad), highlight=False, soft_wrap=True)

    yield line
