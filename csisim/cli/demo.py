"""`csisim demo`: a NAS, a driver and their callers on real sockets, with trouble on the way, and a verdict."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

Progress = Callable[[str, int, int], None]


def demo(
    *,
    seed: Annotated[int | None, typer.Option(help="Repeats the choices of an earlier run; random by default.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the verdict as one JSON object, progress elsewhere.")
    ] = False,
) -> None:
    """Take 20 volumes through their whole life on two nodes, with faults, and look for leaks.

    Exit status 0 only if everything held.
    """
    from rich.console import Console  # noqa: PLC0415 - what a command needs is imported when it runs

    from csisim import logs  # noqa: PLC0415
    from csisim.cli.demo_report import print_verdict  # noqa: PLC0415
    from csisim.cli.demo_run import run_demo  # noqa: PLC0415

    chosen = random.SystemRandom().getrandbits(31) if seed is None else seed
    progress_console = Console(stderr=json)
    logs.configure(quiet=True)
    with progress_on(progress_console) as progress:
        # Not on uvloop: its clock is too coarse for the latencies of the report.
        verdict = asyncio.run(run_demo(chosen, progress))
    if json:
        typer.echo(verdict.to_json())
    else:
        print_verdict(verdict, progress_console)
    raise typer.Exit(0 if verdict.ok else 1)


@contextmanager
def progress_on(console: "Console") -> Iterator[Progress]:
    """A bar per phase on a terminal; elsewhere one line per finished phase."""
    if not console.is_terminal:

        def line(phase: str, done: int, total: int) -> None:
            if done == total:
                console.print(f"{phase}: {done}/{total}", highlight=False)

        yield line
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Refreshed by each step: a refresh thread of its own would only compete with the event loop.
    with Bars(*columns, console=console, auto_refresh=False) as bars:
        known = {}

        def bar(phase: str, done: int, total: int) -> None:
            if phase not in known:
                known[phase] = bars.add_task(phase, total=total)
            bars.update(known[phase], completed=done, total=total, refresh=True)

        yield bar
