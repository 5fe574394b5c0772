"""`csisim run`: the whole in virtual time (or on real sockets) under faults, and a verdict for every invariant."""

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.ending import interrupted, until_signalled
from csisim.cli.run_exhaust import BudgetOption, ExhaustOption, exhaust, exhausting, fit_together
from csisim.cli.run_options import faults_of, planned, seeds_of, size_of
from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from csisim.runs.plan import RunPlan

_MOST_BYTES = 1 << 20
_MANIFESTS = frozenset({".yaml", ".yml", ".json"})
# The members of a plan that flags set.
_FLAGS = {
    "strategy": ("strategy",), "workload": ("workload",), "file": ("workload", "manifests"), "faults": ("faults",),
    "size": ("clients", "operations", "volumes"), "protocol": ("protocols",), "nodes": ("nodes",), "real": ("real",),
    "patient": ("patient",),
}  # fmt: skip


SeedOption = Annotated[
    int | None, typer.Option("--seed", help="Of every random choice; random, and printed, by default.")
]
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", metavar="A:B", help="One run for each seed from A up to, and without, B.")
]
FileOption = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="Kubernetes manifests, or directories of them, to bring about."),
]
FaultsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--faults",
        metavar="RULE|@FILE|all|none",
        help="A rule as in docs/faults.md, may be repeated; all, the default: the seed draws kinds and places.",
    ),
]
StrategyOption = Annotated[
    str,
    typer.Option("--strategy", help="How schedules are made: portfolio, fifo, walk, pct, pct:DEPTH, pos, stalls."),
]
SizeOption = Annotated[str, typer.Option("--size", metavar="CxO[xV]", help="Clients x operations of each x volumes.")]
WorkloadOption = Annotated[
    str | None,
    typer.Option(
        "--workload",
        help="clients make random calls; co has an orchestrator bring intents about. co with --file.",
    ),
]
ProtocolOption = Annotated[
    list[str] | None,
    typer.Option("--protocol", help="nfs, iscsi or nvmeof; may be repeated. All three by default."),
]
NodesOption = Annotated[int, typer.Option("--nodes", help="How many nodes.")]
RealOption = Annotated[bool, typer.Option("--real", help="On real sockets by the real clock; does not repeat.")]
PatientOption = Annotated[
    bool, typer.Option("--patient", help="With --real: wait as long as Kubernetes does, not a fraction of that.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, progress elsewhere.")]
JunitOption = Annotated[Path | None, typer.Option("--junit", help="Write a JUnit report here.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Write one HTML page here; of many runs the first bad one's.")
]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", help="Write the events here, as JSON lines; of many runs the first bad one's."),
]
ReplayFileOption = Annotated[
    Path | None,
    typer.Option("--replay-file", metavar="FILE", help="Write what csisim replay reads here, with the schedule."),
]
MutantOption = Annotated[
    str, typer.Option("--mutant", metavar="NAME", help="Let the driver have this known bug (docs/mutants.md).")
]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Show the driver's log on standard error.")]


def run(
    *,
    context: typer.Context,
    seed: SeedOption = None,
    seeds: SeedsOption = None,
    file: FileOption = None,
    faults: FaultsOption = None,
    strategy: StrategyOption = "portfolio",
    size: SizeOption = "3x5x2",
    workload: WorkloadOption = None,
    protocol: ProtocolOption = None,
    nodes: NodesOption = 2,
    real: RealOption = False,
    patient: PatientOption = False,
    json: JsonOption = False,
    junit: JunitOption = None,
    html: HtmlOption = None,
    history: HistoryOption = None,
    replay_file: ReplayFileOption = None,
    mutant: MutantOption = "",
    exhaust_to: ExhaustOption = None,
    budget: BudgetOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Run clients, or an orchestrator, against driver and NAS under faults; then heal, finish, and check everything.

    Exit status 0 if everything held, 1 if something did not or could not be decided, 2 for a wrong use, 130 for SIGINT.
    """
    from csisim.cli import run_output  # noqa: PLC0415 - what a command needs is imported when it runs

    fit_together(exhaust_to, budget, seeds=seeds is not None, strategy=strategy)
    span = _span(seed, seeds)
    manifests = _texts(file or [])
    members = {
        **size_of(size),
        "seed": span.start if span else random.SystemRandom().getrandbits(31) if seed is None else seed,
        "strategy": strategy,
        "workload": workload or ("co" if file else "clients"),
        "manifests": tuple(text for _, text in manifests),
        "faults": faults_of(faults or ["all"]),
        "protocols": tuple(dict.fromkeys(protocol or ("nfs", "iscsi", "nvmeof"))),
        "nodes": nodes, "real": real, "patient": patient,
        **_shows(mutant, context),
    }  # fmt: skip
    plan = _plan(members, "--seeds" if span else "--seed", [name for name, _ in manifests])
    files = run_output.Files(junit=junit, html=html, history=history, replay=replay_file).checked()
    run_output.prepare(verbose=verbose)
    if exhaust_to is not None:
        raise typer.Exit(exhaust(exhausting(plan, exhaust_to, budget), files, json=json))
    raise typer.Exit(_many(plan, span, files, json) if span else _one(plan, files, json))


def _span(seed: int | None, seeds: str | None) -> range:
    if seeds is not None and seed is not None:
        raise typer.BadParameter("give either --seed or --seeds", param_hint="--seeds")
    return range(0) if seeds is None else seeds_of(seeds)


def _one(plan: "RunPlan", files: Any, json: bool) -> int:
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.runs.run import run_plan  # noqa: PLC0415

    with until_signalled() as end:
        result = run_plan(plan, keep_events=files.wants_events)
    if end.signal:
        return interrupted(end)
    run_output.show(result, json=json)
    files.write(result)
    return run_output.status(result.report.verdict)


def _many(plan: "RunPlan", span: range, files: Any, json: bool) -> int:
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.runs.many import Tally, run_seeds  # noqa: PLC0415

    tally, reports = Tally(), []
    started_s = time.perf_counter()
    with until_signalled() as end, run_output.progress(len(span)) as progress:
        for result in run_seeds(plan, span, keep_events=files.wants_events):
            tally.add(result)
            if files.junit is not None:
                reports.append(result.report.to_json())
            progress(tally)
    if end.signal:
        interrupted(end, f" after {tally.runs} of {len(span)} runs")
    run_output.show_many(tally, span, time.perf_counter() - started_s, json=json)
    if tally.worst is not None:
        files.write(tally.worst, reports)
    return end.status or run_output.status("ok" if tally.counts["ok"] == tally.runs else "violation")


def _shows(mutant: str, context: typer.Context) -> dict[str, Any]:
    """What of the plan a mutant asks for, but for what the command line does."""
    if not mutant:
        return {}
    from csisim.mutants.registry import find  # noqa: PLC0415

    found = checked("--mutant", find, mutant)
    sources = {flag: context.get_parameter_source(flag) for flag in _FLAGS}
    given = {member for flag, source in sources.items() if source is not None and source.name != "DEFAULT"
             for member in _FLAGS[flag]}  # fmt: skip
    return {"mutant": mutant} | {member: value for member, value in found.plan.items() if member not in given}


def _plan(members: Mapping[str, Any], seed: str, names: Sequence[str]) -> "RunPlan":
    """The plan with these members, checked; `seed` is the flag that its seed is from."""
    from csisim.runs.plan import RunPlan  # noqa: PLC0415

    plan = planned(lambda: RunPlan(**members), seed=seed)
    check(plan, names=names, faults="--faults", file="--file")
    return plan


def check(plan: "RunPlan", *, names: Sequence[str] = (), faults: str | None = None, file: str | None = None) -> None:
    """Whether the plan can be run; where not, it is a usage error.

    Args:
        plan: of the run.
        names: of the files that its manifests are from.
        faults: the flag that its rules are from.
        file: the one that its manifests are from.
    """
    from csisim.runs.run import check_manifests, rules_of  # noqa: PLC0415

    checked(faults, rules_of, plan)
    for warning in checked(file, lambda given: check_manifests(given, names), plan):
        typer.echo(f"warning: {warning}", err=True)


def _texts(paths: list[Path]) -> list[tuple[str, str]]:
    """Manifests with the names of their files."""
    files: list[Path] = []
    for path in paths:
        below = sorted(each for each in path.iterdir() if each.suffix in _MANIFESTS) if path.is_dir() else [path]
        if not below:
            raise typer.BadParameter(f"{path}: no {', '.join(sorted(_MANIFESTS))} in it", param_hint="--file")
        files += below
    return [(str(each), _presentable(each)) for each in files]


def _presentable(path: Path) -> str:
    """A manifest without what its Secrets hold: it will be in reports and tokens."""
    from csisim.co.manifests import without_secrets  # noqa: PLC0415 - YAML is only read where there is some

    return checked("--file", lambda text: without_secrets(text, str(path)), _text(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise typer.BadParameter(f"{path}: more than {_MOST_BYTES} bytes", param_hint="--file")
        return content.decode()
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--file") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path}: not UTF-8 at byte {error.start}", param_hint="--file") from None
