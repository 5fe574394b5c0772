"""`csisim mutants`: the known bugs, and how fast each of them is found."""

import json as json_text
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from csisim.explore.hunt import Hunted
    from csisim.mutants.mutant import Mutant

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The known bugs: what they are, and hunting them.")

NameArgument = Annotated[str, typer.Argument(help="Of a mutant, such as M-NOLOCK.")]


@app.command("list")
def list_(*, json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")] = False) -> None:
    """Every mutant: where it was seen, the wrong idea, which checks must find it, and one line that shows it."""
    found = [_mutant(name) for name in _names()]
    if json:
        typer.echo(json_text.dumps([
            {"name": each.name, "origin": each.origin, "idea": each.idea, "oracle": list(each.oracle),
             "plan": dict(each.plan), "reproduction": each.reproduction} for each in found
        ]))  # fmt: skip
        return
    for each in found:
        typer.echo(f"{each.name}: {each.idea}\n    seen in: {each.origin}\n    found by: {', '.join(each.oracle)}\n"
                   f"    {each.reproduction}")  # fmt: skip


@app.command()
def hunt(
    *,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="This mutant; may be repeated.")] = None,
    campaigns: Annotated[int, typer.Option(min=1, help="Independent searches for each.")] = 20,
    cap: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many schedules each of them may take.")] = 10_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to run in; one per processor by default.")] = (
        os.cpu_count() or 1
    ),
    strategy: Annotated[str | None, typer.Option(help="Instead of the portfolio: fifo, for one.")] = None,
    real: Annotated[bool, typer.Option("--real", help="On real sockets by the real clock, for comparison.")] = False,
    no_shrink: Annotated[bool, typer.Option("--no-shrink", help="Do not bring a hit down, nor do it again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects, progress elsewhere.")] = False,
) -> None:
    """Hunt mutants: how many schedules until the check that must find one does, and how sure that is.

    Exit status 0 if each was found in every campaign, 1 if not, 2 for a wrong use.
    """
    from csisim.cli import run_output  # noqa: PLC0415 - what a command needs is imported when it runs
    from csisim.executors import processes  # noqa: PLC0415
    from csisim.explore.hunt import Terms  # noqa: PLC0415
    from csisim.explore.hunt import hunt as hunted  # noqa: PLC0415
    from csisim.explore.shrink import Bounds  # noqa: PLC0415

    run_output.prepare(verbose=False)
    members: dict[str, Any] = ({"strategy": strategy} if strategy else {}) | ({"real": True} if real else {})
    mutants = [_mutant(name) for name in only or _names()]
    for each in mutants:
        _can_be_run(each, members)
    terms = Terms(campaigns=campaigns, cap=cap, members=members, shrink=None if no_shrink else Bounds())
    found: list[Hunted] = []
    if not json:
        typer.echo(_HEAD)
    with processes(jobs) as place:
        for mutant in mutants:
            found.append(hunted(mutant, place, terms, _progress(mutant.name, campaigns)))
            if not json:
                typer.echo(_row(found[-1]))
    if json:
        typer.echo(json_text.dumps([each.to_json() for each in found]))
    raise typer.Exit(0 if all(each.found for each in found) else 1)


@app.command()
def reproduce(
    name: NameArgument,
    *,
    seed: Annotated[int | None, typer.Option(help="Instead of the known one.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run what shows a mutant, and tell what the check that must find it says.

    Exit status 0 if it was found, 1 if not, 2 for a wrong use.
    """
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.runs.plan import RunPlan  # noqa: PLC0415
    from csisim.runs.run import run_plan  # noqa: PLC0415

    run_output.prepare(verbose=False)
    mutant = _mutant(name)
    members = {**mutant.plan, "mutant": name, "seed": mutant.seed if seed is None else seed}
    result = run_plan(checked("--seed", lambda given: RunPlan(**given), members))
    found = [check for check in mutant.oracle if result.report.invariants.get(check) == "violation"]
    run_output.show(result, json=json, more={"mutant": name, "found_by": found})
    if not json:
        typer.echo(f"\n{name}: found by {', '.join(found)}" if found else f"\n{name}: NOT found with this seed")
    raise typer.Exit(0 if found else 1)


def _names() -> tuple[str, ...]:
    from csisim.mutants.registry import NAMES  # noqa: PLC0415

    return NAMES


def _mutant(name: str) -> "Mutant":
    from csisim.mutants.registry import find  # noqa: PLC0415

    return checked(None, find, name)


def _can_be_run(mutant: "Mutant", members: dict[str, Any]) -> None:
    from csisim.explore.mix import Mix  # noqa: PLC0415

    checked(None, Mix, {**mutant.plan, **members, "mutant": mutant.name})


def _progress(name: str, campaigns: int) -> Any:
    in_place = sys.stderr.isatty()

    def line(over: int, runs: int) -> None:
        if in_place:
            typer.echo(f"\r\x1b[K{name}: {over}/{campaigns} campaigns, {runs} runs", nl=False, err=True)
            if over == campaigns:
                typer.echo("\r\x1b[K", nl=False, err=True)

    return line


_HEAD = (f"{'mutant':<14} {'found':>7} {'schedules':>10} {'most':>6} {'CPU ms':>9} {'wall ms':>9} "
         f"{'hit rate (95 %)':>24} {'deviations':>10} {'replayed':>8}")  # fmt: skip


def _row(hunted: "Hunted") -> str:
    shown = hunted.to_json()
    rate = f"{shown['hit_rate']:.2%} ({shown['hit_rate_low']:.2%}..{shown['hit_rate_high']:.2%})"
    replayed = "-" if shown["replayed"] is None else f"{hunted.reproduced}/{hunted.replays}"
    count = f"{hunted.hits}/{hunted.campaigns}"
    return (
        f"{hunted.name:<14} {count:>7} {_known(shown['schedules_mean'], '.1f'):>10} "
        f"{_known(shown['schedules_max']):>6} {_known(shown['cpu_ms_mean'], '.0f'):>9} "
        f"{_known(shown['wall_ms_mean'], '.0f'):>9} {rate:>24} "
        f"{_known(shown['deviations']):>10} {replayed:>8}"
    )


def _known(value: float | None, form: str = "d") -> str:
    return "-" if value is None else format(value, form)
