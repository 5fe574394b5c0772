"""`csisim mutants`: the known bugs, and how fast each of them is found."""

import json as json_text
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.ending import interrupted, until_signalled
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
    found = [_mutant(name) for name in _names()]
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
    campaigns: Annotated[int, typer.Option(min=1, help="Independent searches for each.")] = 20,
    cap: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many schedules each of them may take.")] = 10_000,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to run in; one per processor by default.")] = (
        os.cpu_count() or 1
    ),
    strategy: Annotated[str | None, typer.Option(help="Instead of the portfolio: walk, for one.")] = None,
    no_shrink: Annotated[bool, typer.Option("--no-shrink", help="Do not bring hits down.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="fifo|real", help="Search this way too: no strategy, or real sockets and time; may be repeated."
        ),
    ] = None,
    against_s: Annotated[float, typer.Option(min=0.1, help="So long for a mutant each of these ways.")] = 40.0,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the JSON here too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects, progress elsewhere.")] = False,
) -> None:
    """Hunt mutants: how many schedules until the check that must find one does, and how sure that is.

    Runs are those of `csisim explore`: nothing is drawn otherwise because a mutant is hunted.

    Exit status 0 if each was found in every campaign, 1 if not, 2 for a wrong use; 130 or 143 where a signal ended it,
    and what was known by then is printed, and in the file.
    """
    from csisim.cli import mutants_output, run_output  # noqa: PLC0415 - what a command needs is imported when it runs
    from csisim.explore.hunt import Terms  # noqa: PLC0415

    run_output.prepare(verbose=False)
    mutants = [_mutant(name) for name in only or _names()]
    members, ways = {"strategy": strategy} if strategy else {}, tuple(dict.fromkeys(against or ()))
    terms = Terms(campaigns=campaigns, cap=cap, members=members, against=ways, against_s=against_s)
    terms = replace(terms, shrink=None) if no_shrink else terms
    for each in mutants:
        checked(None, terms.mixes, each)
    if out is not None:
        _can_be_written(out)
    found: list[Hunted] = []
    with until_signalled() as end:
        for hunted in _hunted(mutants, terms, jobs, quiet=json):
            found.append(hunted)
            if out is not None:  # a hunt takes long, and what is known is known
                out.write_text(_shown(found) + "\n")
    typer.echo(_shown(found) if json else "\n".join(mutants_output.sums(found, terms.against_s)))
    how_far = f" after {len(found)} of {len(mutants)} mutants"
    missed = not all(each.effort.found for each in found)
    raise typer.Exit(interrupted(end, how_far) if end.signal else int(missed))


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


def _shown(found: "Sequence[Hunted]") -> str:
    return json_text.dumps([each.to_json() for each in found])


def _can_be_written(path: Path) -> None:
    """Asked before a hunt of half an hour, not after it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise typer.BadParameter(f"{path}: it cannot be written: {error.strerror}", param_hint="--out") from None


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


def _progress(name: str, campaigns: int) -> Any:
    in_place = sys.stderr.isatty()

    def line(over: int, runs: int) -> None:
        if in_place:
            typer.echo(f"\r\x1b[K{name}: {over}/{campaigns} campaigns, {runs} runs", nl=False, err=True)
            if over == campaigns:
                typer.echo("\r\x1b[K", nl=False, err=True)

    return line
