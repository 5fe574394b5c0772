"""`csisim scenarios`: the library of real failures, listed and done again."""

import json as json_text
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from csisim.cli.ending import stopped, until_stopped
from csisim.cli.run_options import check_jobs, seeds_of
from csisim.cli.serve_options import checked, in_range

if TYPE_CHECKING:
    from csisim.scenarios.play import Played
    from csisim.scenarios.scenario import Scenario

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Failures that were seen in the field, done again.")

_FIRST_SEED: Final = 1
_TITLE_FROM: Final = 14
_PIECE: Final = 20
_MOST_RUNS: Final = 1_000_000
_MOST_SEED: Final = (1 << 63) - 1

NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Such as N01, or N05/nvmeof for one of its variants.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Every scenario.")]
RealOption = Annotated[bool, typer.Option("--real", help="On real sockets by the real clock; simulated by default.")]


def _check_seed(seed: int | None) -> int | None:
    return None if seed is None else int(in_range(0, _MOST_SEED)(seed))


SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed", callback=_check_seed, help=f"Of every choice; {_FIRST_SEED} by default.", show_default=False
    ),
]
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", metavar="A:B", help="Once for each seed from A up to, and without, B.")
]
WrongOption = Annotated[
    bool, typer.Option("--wrong", help="With the driver that has the wrong idea: each has to fail as it says.")
]
JobsOption = Annotated[int, typer.Option("--jobs", callback=check_jobs, help="Processes to run in.")]


@dataclass(frozen=True, slots=True)
class Part:
    """One way of doing one scenario, and the seeds that it is done with."""

    name: str
    variant: str
    seeds: range
    real: bool
    wrong: bool

    @property
    def label(self) -> str:
        """As it is asked for."""
        return f"{self.name}/{self.variant}" if self.variant else self.name

    def split(self) -> list["Part"]:
        """The same in pieces, for as many processes."""
        return [replace(self, seeds=self.seeds[at : at + _PIECE]) for at in range(0, len(self.seeds), _PIECE)]


@dataclass(slots=True)
class Done:
    """What became of it: with each seed, and how long all of them took, in seconds."""

    played: "list[Played]" = field(default_factory=list)
    duration_s: float = 0.0

    def add(self, other: "Done") -> None:
        """Further seeds."""
        self.played += other.played
        self.duration_s += other.duration_s

    @property
    def failed(self) -> "list[Played]":
        """Where it was not as it should be."""
        return [each for each in self.played if not each.as_it_should]

    def left(self, part: Part) -> int:
        """How many seeds of it were not played."""
        return len(part.seeds) - len(self.played)


@app.command("list")
def list_(*, json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")] = False) -> None:
    """Every scenario: what happens, what must be seen, what it is done with, and where it was seen."""
    from csisim.scenarios.library import SCENARIOS  # noqa: PLC0415 - what a command needs is imported when it runs

    if json:
        typer.echo(json_text.dumps([_described(each) for each in SCENARIOS.values()]))
        return
    for each in SCENARIOS.values():
        variants = f" · {', '.join(each.variants)}" if each.variants != ("",) else ""
        modes = "simulated and real" if each.real else "simulated"
        typer.echo(
            f"{each.name}: {each.title}\n    {each.story}\n    expected: {each.expectation}\n"
            f"    about: {', '.join(each.invariants)} · {modes}{variants}\n    seen in: {each.source}"
        )


@app.command()
def run(
    names: NamesArgument = None,
    *,
    all_: AllOption = False,
    real: RealOption = False,
    seed: SeedOption = None,
    seeds: SeedsOption = None,
    wrong: WrongOption = False,
    jobs: JobsOption = 1,
    json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")] = False,
) -> None:
    """Do scenarios: each must pass; with --wrong each must fail, and be caught by the checks that it names.

    Exit status 0 if that is so for all of them, 1 if not, 2 for a wrong use, 3 if a worker has died, 130 after SIGINT,
    143 after SIGTERM; what was known by then is printed.
    """
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.executors import processes  # noqa: PLC0415

    if seed is not None and seeds is not None:
        raise typer.BadParameter("one of --seed and --seeds is enough", param_hint="--seeds")
    first = _FIRST_SEED if seed is None else seed
    span = range(first, first + 1) if seeds is None else seeds_of(seeds)
    parts = _parts(names or [], every=all_, seeds=span, real=real, wrong=wrong)
    pieces = sum(-(-len(part.seeds) // _PIECE) for part in parts)
    run_output.prepare(verbose=False)
    done = [Done() for _ in parts]
    tell = (lambda _part, _found: None) if json else _tell
    with until_stopped() as end, processes(min(jobs, pieces)) as place:
        _do_all(place.executor, parts, done, tell)
    status = stopped("scenarios run", end, _how_far(parts, done))
    if json:
        typer.echo(json_text.dumps([each.to_json() for found in done for each in found.played]))
    else:
        for part, found in zip(parts, done, strict=True):
            if found.played and found.left(part):
                _tell(part, found)
        _sum(parts, done)
    raise typer.Exit(status or (1 if any(found.failed for found in done) else 0))


def _how_far(parts: Sequence[Part], done: Sequence[Done]) -> str:
    over = sum(not found.left(part) for part, found in zip(parts, done, strict=True))
    return f" after {over} of {len(parts)} ways"


def _parts(names: Sequence[str], *, every: bool, seeds: range, real: bool, wrong: bool) -> list[Part]:
    """What is to be done; a usage error where that is nothing, or cannot be."""
    from csisim.scenarios.library import SCENARIOS  # noqa: PLC0415

    if every == bool(names):
        raise typer.BadParameter("give the ids of scenarios, or --all of them", param_hint="ID")
    wanted: dict[tuple[str, str], None] = {}
    left_out: list[str] = []
    for name in SCENARIOS if every else names:
        scenario, variants = checked("ID", _named, name)
        if real and not scenario.real:
            if not every:
                raise typer.BadParameter(f"{scenario.name} needs virtual time: do it without --real", param_hint="ID")
            left_out.append(scenario.name)
            continue
        wanted.update(dict.fromkeys((scenario.name, variant) for variant in variants))
    if left_out:
        typer.echo(f"left out, since they need virtual time: {', '.join(left_out)}", err=True)
    if not wanted:
        raise typer.BadParameter("nothing is left to do", param_hint="--real")
    if (runs := len(wanted) * len(seeds)) > _MOST_RUNS:
        raise typer.BadParameter(f"{runs} runs at once are more than {_MOST_RUNS}", param_hint="--seeds")
    return [Part(name, variant, seeds, real, wrong) for name, variant in wanted]


def _named(text: str) -> "tuple[Scenario, tuple[str, ...]]":
    """A scenario and its variants that are meant. ValueError: there is no such scenario, or variant of it."""
    from csisim.scenarios.library import find  # noqa: PLC0415

    name, slash, variant = text.partition("/")
    scenario = find(name)
    if not slash:
        return scenario, scenario.variants
    if not variant or variant not in scenario.variants:
        there = ", ".join(f"{name}/{each}" for each in scenario.variants if each) or f"{name} alone"
        raise ValueError(f"{text[:80]!r} is no variant of {name}: there are {there}")
    return scenario, (variant,)


def _do_all(executor: Any, parts: Sequence[Part], done: Sequence[Done], tell: "Callable[[Part, Done], None]") -> None:
    """All of them, in their order. An executor that runs tasks at once gets one after the other.

    Args:
        executor: does the pieces.
        parts: what is to be done.
        done: what became of it, for each; is filled, however this ends.
        tell: is told of each that has come to its end.

    Raises:
        BrokenExecutor: a worker has died; what the others had done by then is there.
    """
    from csisim.executors import Inline  # noqa: PLC0415

    later = not isinstance(executor, Inline)
    begun = [[executor.submit(do, piece) for piece in part.split()] for part in parts if later]
    death: BrokenExecutor | None = None
    for number, part in enumerate(parts):
        for future in begun[number] if later else (executor.submit(do, piece) for piece in part.split()):
            try:
                done[number].add(future.result())
            except BrokenExecutor as error:
                death = error
        if not done[number].left(part):
            tell(part, done[number])
    if death is not None:
        raise death


def do(part: Part) -> Done:
    """Do it, in whichever process this is."""
    from csisim.scenarios.library import find  # noqa: PLC0415
    from csisim.scenarios.play import play  # noqa: PLC0415

    started_s = time.perf_counter()
    scenario = find(part.name)
    played = [play(scenario, part.variant, seed=each, real=part.real, wrong=part.wrong) for each in part.seeds]
    return Done(played, time.perf_counter() - started_s)


def _tell(part: Part, found: Done) -> None:
    """One line; where it is not as it should be, the story and how to do it again."""
    from csisim.reports.text import counted  # noqa: PLC0415
    from csisim.scenarios.library import find  # noqa: PLC0415

    scenario, failed = find(part.name), found.failed
    left = found.left(part)
    verdict = _verdict(found) + (f", {counted(left, 'seed')} not done" if left else "")
    typer.echo(f"{part.label:<{_TITLE_FROM}}{scenario.title}: {verdict} ({found.duration_s:.2f} s)")
    if not failed:
        return
    first = failed[0]
    lines = [scenario.story, f"expected: {scenario.expectation}"]
    if part.wrong:
        lines += [f"the wrong idea: {scenario.wrong_idea}", f"must be caught by: {', '.join(scenario.caught_by)}"]
        lines += [f"found by: {', '.join(first.broken) or 'nothing'}"]
    lines += [f"not as expected: {first.unexpected}"] if first.unexpected else []
    lines += first.story.rstrip("\n").splitlines()
    lines += [f"again: {first.again}"]
    typer.echo("\n".join(f"    {line}".rstrip() for line in lines) + "\n")


def _verdict(found: Done) -> str:
    failed, first = found.failed, found.played[0]
    if failed:
        of = f" with {len(failed)} of {len(found.played)} seeds" if len(found.played) > 1 else ""
        return f"NOT CAUGHT by {', '.join(failed[0].missed)}{of}" if first.wrong else f"FAILED{of}"
    return f"caught by {', '.join(first.caught)}" if first.wrong else "passed"


def _sum(parts: Sequence[Part], done: Sequence[Done]) -> None:
    from csisim.reports.text import counted  # noqa: PLC0415

    over = [found for part, found in zip(parts, done, strict=True) if not found.left(part)]
    good = sum(not found.failed for found in over)
    plays = sum(len(found.played) for found in done)
    left = len(parts) - len(over)
    word = "FAILED" if any(found.failed for found in done) else "INCOMPLETE" if left else "OK"
    of = f"{counted(len(parts), 'way')} of {counted(len({part.name for part in parts}), 'scenario')}"
    fine = "caught" if parts[0].wrong else "passed"
    runs = f", {plays} runs" if plays != len(over) else ""
    duration_s = sum(found.duration_s for found in done)
    typer.echo(f"{word}: {good} of {of} {fine}{f', {left} not done' if left else ''}{runs}, {duration_s:.1f} s in all")


def _described(scenario: "Scenario") -> dict[str, Any]:
    """Plain data; everything but code."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "story": scenario.story,
        "faults": list(scenario.faults),
        "expectation": scenario.expectation,
        "invariants": list(scenario.invariants),
        "source": scenario.source,
        "variants": [each for each in scenario.variants if each],
        "real": scenario.real,
        "wrong": scenario.wrong if isinstance(scenario.wrong, str) else "",
        "wrong_idea": scenario.wrong_idea,
        "caught_by": list(scenario.caught_by),
    }
