"""`csisim run --exhaust K`: every schedule with at most K deviations, how many there were, and whether that was all."""

import json as json_text
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from csisim.cli.ending import interrupted, until_signalled
from csisim.cli.run_options import planned

if TYPE_CHECKING:
    from csisim.cli.run_output import Files
    from csisim.runs.exhaust import Exhausting
    from csisim.runs.plan import RunPlan

_BUDGET: Final = 100_000

ExhaustOption = Annotated[
    int | None,
    typer.Option(
        "--exhaust", metavar="K",
        help="Every schedule, in lockstep, with at most K deviations from first in, first out; for small sizes.",
    ),
]  # fmt: skip
BudgetOption = Annotated[
    int | None, typer.Option("--budget", metavar="N", help=f"With --exhaust: at most N schedules; {_BUDGET}.")
]


def fit_together(deviations: int | None, budget: int | None, *, seeds: bool, strategy: str) -> None:
    """Whether these flags go together.

    Args:
        deviations: of --exhaust.
        budget: of --budget.
        seeds: whether there is --seeds.
        strategy: of --strategy.
    """
    if deviations is None:
        if budget is not None:
            raise typer.BadParameter("it is for --exhaust", param_hint="--budget")
    elif seeds:
        raise typer.BadParameter("every schedule is of one seed: give --seed", param_hint="--exhaust")
    elif strategy not in {"portfolio", "fifo"}:
        raise typer.BadParameter(f"every schedule is run: none is drawn by {strategy}", param_hint="--exhaust")


def exhausting(plan: "RunPlan", deviations: int, budget: int | None) -> "Exhausting":
    """What is to be run; a wrong number is a usage error."""
    from csisim.runs.exhaust import Exhausting, in_lockstep  # noqa: PLC0415 - what a command needs, when it runs

    most = _BUDGET if budget is None else budget
    return planned(lambda: Exhausting(in_lockstep(plan), deviations, most))


def exhaust(found: "Exhausting", files: "Files", *, json: bool) -> int:
    """Run, print and write; gives the exit status: not to have run every schedule is not fine either."""
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.sim.errors import Diverged  # noqa: PLC0415

    started_s = time.perf_counter()
    try:
        with until_signalled() as end, run_output.progress(lambda: found.schedules) as progress:
            for tally in found.run(keep_events=files.wants_events):
                progress(tally)
    except Diverged as error:
        typer.echo(f"nothing is known: {error}", err=True)
        return run_output.status("unknown")
    if end.signal:
        interrupted(end, f" after {found.tally.runs} of at least {found.schedules} runs")
    if found.tally.worst is not None:
        _show(found, time.perf_counter() - started_s, json=json)
        files.write(found.tally.worst)
    return end.status or run_output.status(found.verdict)


def _show(found: "Exhausting", duration_s: float, *, json: bool) -> None:
    from csisim.cli import run_output  # noqa: PLC0415

    tally = found.tally
    worst: Any = tally.worst
    if json:
        members = {
            "verdict": found.verdict,
            "exhausted": found.exhausted,
            "deviations": found.deviations,
            "schedules": tally.runs,
            "schedules_at_least": found.schedules,
            "undecided": tally.counts["unknown"],
            "all_steps": tally.steps,
            "digest": tally.digest,
            "runs_per_s": round(tally.runs / max(duration_s, 1e-9), 3),
        }
        typer.echo(json_text.dumps(worst.report.to_json() | members))
        return
    if worst.report.verdict == "ok":
        typer.echo(run_output.facts(worst.report.to_json() | {"strategy": "every schedule"}))
    else:
        run_output.show(worst, json=False)
        typer.echo("")
    typer.echo(_sum(found, duration_s))
    if worst.report.verdict == "ok":
        typer.echo(worst.report.replay)


def _sum(found: "Exhausting", duration_s: float) -> str:
    """The last line."""
    tally = found.tally
    word = {"ok": "OK", "violation": "FAILED", "unknown": "UNKNOWN"}[found.verdict]
    how = "exhausted" if found.exhausted else f"not exhausted: {tally.runs} of at least {found.schedules}"
    return (
        f"{word}: {how} at {found.deviations} deviations, {tally.runs} schedules, {tally.steps} steps in "
        f"{duration_s:.1f} s, {tally.counts['violation']} violations, {tally.counts['unknown']} unknown, "
        f"digest {tally.digest}"
    )
