"""`csisim mutants`: the known bugs, and how fast each of them is found."""

import json as json_text
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.ending import stopped, until_stopped
from csisim.cli.output import LOST
from csisim.cli.run_options import check_jobs, planned
from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from csisim.explore.hunt import Terms
    from csisim.explore.hunted import Hunted
    from csisim.mutants.mutant import Mutant

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The known bugs: what they are, and hunting them.")

NameArgument = Annotated[str, typer.Argument(help="Of a mutant, such as M-NOLOCK.")]


@app.command("list")
def list_(*, json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")] = False) -> None:
    """Every mutant: where it was seen, the wrong idea, which checks must find it, and one line that shows it."""
    found = [_mutant(name, None) for name in _names()]
    if json:
        typer.echo(json_text.dumps([
            {"name": each.name, "origin": each.origin, "idea": each.idea, "oracle": list(each.oracle),
             "race": each.race, "plan": dict(each.plan), "reproduction": each.reproduction} for each in found
        ]))  # fmt: skip
        return
    for each in found:
        typer.echo(f"{each.name}: {each.idea}\n    seen in: {each.origin}\n    found by: {', '.join(each.oracle)}\n"
                   f"    {each.reproduction}")  # fmt: skip


@app.command()
def hunt(
    *,
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="This mutant; may be repeated.")] = None,
    races: Annotated[bool, typer.Option("--races", help="Only those that need two things at a time.")] = False,
    campaigns: Annotated[int, typer.Option(min=1, help="Independent searches for each.")] = 20,
    cap: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many schedules each of them may take.")] = 10_000,
    jobs: Annotated[
        int, typer.Option(callback=check_jobs, help="Processes to run in; one per processor by default.")
    ] = os.cpu_count() or 1,
    strategy: Annotated[str | None, typer.Option(help="Instead of the portfolio: walk, for one.")] = None,
    no_shrink: Annotated[bool, typer.Option("--no-shrink", help="Do not bring hits down.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="fifo|real|patient",
            help="Search this way too: no strategy, or real sockets, in haste or patient; may be repeated.",
        ),
    ] = None,
    against_s: Annotated[float, typer.Option(min=0.1, help="So long for a mutant each of these ways.")] = 40.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the JSON here too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects, progress elsewhere.")] = False,
) -> None:
    """Hunt mutants: how many schedules until the check that must find one does, and how sure that is.

    Runs are those of `csisim explore`: nothing is drawn otherwise because a mutant is hunted.

    Exit status 0 if each was found in every campaign, 1 if not, 2 for a wrong use, 74 if it was and the file could not
    be written; 3 if a worker has died, 130 or 143 where a signal ended it, and what was known by then is printed, and
    in the file.
    """
    from csisim.cli import mutants_output, run_output  # noqa: PLC0415 - what a command needs is imported when it runs
    from csisim.explore.hunt import Terms  # noqa: PLC0415

    run_output.prepare(verbose=False)
    mutants = _hunted_for(only, races=races)
    terms = Terms(campaigns=campaigns, cap=cap, against=tuple(dict.fromkeys(against or ())), against_s=against_s)
    terms = _checked(replace(terms, shrink=None) if no_shrink else terms, strategy, mutants)
    file = mutants_output.Results(out)
    found: list[Hunted] = []
    with until_stopped() as end:
        for hunted in _hunted(mutants, terms, jobs, quiet=json):
            found.append(hunted)
            file.write(found)  # a hunt takes long, and what is known is known
    left = len(mutants) - len(found)
    typer.echo(
        mutants_output.shown(found) if json else "\n".join(mutants_output.sums(found, terms.against_s, left=left))
    )
    status = stopped("mutants hunt", end, f" after {len(found)} of {len(mutants)} mutants")
    missed = not all(each.effort.found for each in found)
    raise typer.Exit(status or int(missed) or (LOST if file.lost else 0))


def _hunted_for(only: "Sequence[str] | None", *, races: bool) -> "list[Mutant]":
    mutants = [each for name in only or _names() if (each := _mutant(name, "--only")).race or not races]
    if not mutants:
        raise typer.BadParameter(f"none of {', '.join(only or ())} needs two things at a time", param_hint="--races")
    return mutants


def _checked(terms: "Terms", strategy: str | None, mutants: "Sequence[Mutant]") -> "Terms":
    """The terms with this strategy; a usage error that names the flag where they do not fit the mutants."""
    whole = replace(terms, members={"strategy": strategy}) if strategy is not None else terms
    for each in mutants:
        checked("--against", terms.mixes, each)
        planned(partial(whole.mixes, each))
    return whole


def _hunted(mutants: "Sequence[Mutant]", terms: "Terms", jobs: int, *, quiet: bool) -> "Iterator[Hunted]":
    from csisim.cli import mutants_output  # noqa: PLC0415
    from csisim.executors import processes  # noqa: PLC0415
    from csisim.explore.hunt import hunt as hunted  # noqa: PLC0415

    if not quiet:
        typer.echo(mutants_output.head(terms.against))
    with processes(jobs) as place:
        for mutant in mutants:
            found = hunted(mutant, place, terms, _progress(mutant.name, terms.campaigns))
            if not quiet:
                typer.echo(mutants_output.row(found))
            yield found


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
    mutant = _mutant(name, "NAME")
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


def _mutant(name: str, flag: str | None) -> "Mutant":
    from csisim.mutants.registry import find  # noqa: PLC0415

    return checked(flag, find, name)


def _progress(name: str, campaigns: int) -> Any:
    in_place = sys.stderr.isatty()

    def line(over: int, runs: int) -> None:
        if in_place:
            typer.echo(f"\r\x1b[K{name}: {over}/{campaigns} campaigns, {runs} runs", nl=False, err=True)
            if over == campaigns:
                typer.echo("\r\x1b[K", nl=False, err=True)

    return line
