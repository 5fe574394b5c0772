"""`csisim explore`: a campaign over many seeds, on all processors, a Dask cluster, or in shards of a Kubernetes job."""

import os
import sys
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.ending import BROKEN, interrupted, until_signalled
from csisim.cli.run_options import check_jobs, faults_of, planned, seeds_of, shard_of, size_of
from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from csisim.executors import Workplace
    from csisim.explore.journal import Journal, Writer
    from csisim.explore.mix import Mix
    from csisim.explore.tally import Tally

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

SeedsOption = Annotated[
    str | None, typer.Option("--seeds", metavar="A:B", help="One run for each seed from A up to, and without, B.")
]
JobsOption = Annotated[
    int, typer.Option("--jobs", callback=check_jobs, help="Processes to run in; one per processor by default.")
]
DaskOption = Annotated[
    str | None, typer.Option("--dask", metavar="ADDRESS", help="Run on the workers of this Dask scheduler instead.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only the I-th (from 0) of N equal parts of the seeds; by default, in a Kubernetes Indexed Job, "
        "JOB_COMPLETION_INDEX of JOB_COMPLETIONS.",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option("--size", metavar="CxO[xV]", help="Clients x operations of each x volumes; drawn by default."),
]
WorkloadOption = Annotated[str | None, typer.Option("--workload", help="clients or co; drawn by default.")]
FaultsOption = Annotated[
    list[str] | None,
    typer.Option("--faults", metavar="RULE|@FILE|all|none", help="As with csisim run; drawn by the seed by default."),
]
StrategyOption = Annotated[
    str | None, typer.Option("--strategy", help="As with csisim run; drawn by the seed by default.")
]
ProtocolOption = Annotated[list[str] | None, typer.Option("--protocol", help="nfs, iscsi or nvmeof; may be repeated.")]
MutantOption = Annotated[
    str, typer.Option("--mutant", metavar="NAME", help="Let the driver have this known bug, in runs that show it.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write results here, as JSON lines; - for standard output."),
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", metavar="FILE", help="Go on with the campaign in this file, where it stopped."),
]
ShrinkOption = Annotated[
    int, typer.Option("--shrink", min=0, metavar="N", help="Shrink at most so many kinds of failure.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, progress elsewhere.")]
PagesOption = Annotated[
    Path | None,
    typer.Option("--html-dir", help="Write a page, a story and a replay file for each kind of failure here."),
]


@app.callback()
def explore(
    context: typer.Context,
    *,
    seeds: SeedsOption = None,
    jobs: JobsOption = os.cpu_count() or 1,
    dask: DaskOption = None,
    shard: ShardOption = None,
    size: SizeOption = None,
    workload: WorkloadOption = None,
    faults: FaultsOption = None,
    strategy: StrategyOption = None,
    protocol: ProtocolOption = None,
    mutant: MutantOption = "",
    out: OutOption = None,
    resume: ResumeOption = None,
    shrink: ShrinkOption = 10,
    json: JsonOption = False,
    html_dir: PagesOption = None,
) -> None:
    """Run many seeds with sizes, strategies and faults drawn by each; group what fails, and shrink each group once.

    Exit status 0 if everything held, 1 if something did not or could not be decided, 2 for a wrong use, 3 if a worker
    has died, 130 after SIGINT, 143 after SIGTERM. Whatever happens, the results until then are in the file.
    """
    if context.invoked_subcommand is not None:
        return
    from csisim.cli import explore_output, run_output  # noqa: PLC0415 - what a command needs is imported when it runs

    run_output.prepare(verbose=False)
    members = _of_mutant(mutant) | _members(size, workload, faults, strategy, protocol)
    if json and out == Path("-"):
        raise typer.BadParameter("standard output is taken by --out -", param_hint="--json")
    wanted = None if seeds is None else seeds_of(seeds)
    if resume is not None:
        work = _resumed(resume, wanted, members, out, shard)
    else:
        work = _begun(shard_of(_said(wanted), shard, os.environ), members)
    started_s = time.perf_counter()
    status = _run(work, jobs, dask, out, resume, shrink)
    duration_s = time.perf_counter() - started_s
    if html_dir is not None:
        explore_output.write_pages(work.tally, html_dir)
    explore_output.show(work.tally, work.span, duration_s, json=json, file=resume or out)
    raise typer.Exit(status or _status(work.tally))


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be run, and what was."""

    mix: "Mix"
    span: range
    tally: "Tally"
    journal: "Journal | None" = None


def _begun(span: range, members: Mapping[str, Any]) -> _Work:
    from csisim.explore.mix import Mix  # noqa: PLC0415
    from csisim.explore.tally import Tally  # noqa: PLC0415
    from csisim.runs.run import rules_of  # noqa: PLC0415

    mix = planned(lambda: Mix(members))
    checked("--faults", rules_of, mix.plan_of(0))
    return _Work(mix, span, Tally())


def _resumed(
    path: Path, wanted: range | None, members: Mapping[str, Any], out: Path | None, shard: str | None
) -> _Work:
    from csisim.explore.code import check  # noqa: PLC0415
    from csisim.explore.journal import read  # noqa: PLC0415
    from csisim.explore.tally import tally_of  # noqa: PLC0415

    if out is not None or shard is not None or members:
        raise typer.BadParameter("the file says what is run, and is written on: only --seeds may go beyond it",
                                 param_hint="--resume")  # fmt: skip
    try:
        journal = checked("--resume", read, path)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--resume") from error
    checked("--resume", lambda version: check(version, f"{path} was begun by"), journal.version)
    tally = checked("--resume", tally_of, journal.records)
    return _Work(journal.mix, journal.seeds if wanted is None else wanted, tally, journal)


def _run(work: _Work, jobs: int, address: str | None, out: Path | None, resume: Path | None, most: int) -> int:
    """Everything; the exit status where it did not come to its end, else 0."""
    from csisim.executors import NoCluster  # noqa: PLC0415
    from csisim.explore.campaign import Silence  # noqa: PLC0415
    from csisim.explore.code import OtherCode  # noqa: PLC0415

    try:
        with until_signalled() as end, _place(jobs, address) as place, _writer(out, resume, work) as writer:
            _explored(work, place, writer, most)
    except (NoCluster, OtherCode) as error:
        raise typer.BadParameter(str(error), param_hint="--dask") from error
    except (BrokenExecutor, Silence) as error:
        traceback.print_exc()
        typer.echo(f"csisim explore: {error}", err=True)
        return BROKEN
    return interrupted(end) if end.signal else 0


def _explored(work: _Work, place: "Workplace", writer: "Writer", most: int) -> None:
    from csisim.cli import run_output  # noqa: PLC0415
    from csisim.explore.campaign import campaign  # noqa: PLC0415
    from csisim.explore.shrinking import shrink_groups  # noqa: PLC0415
    from csisim.reports.text import counted  # noqa: PLC0415

    tally, missing = work.tally, work.tally.missing(work.span)
    total = tally.runs + sum(map(len, missing))
    with run_output.progress(total, tally.runs) as progress:
        campaign(work.mix, missing, place, tally, writer=writer, progress=progress)
    if most and tally.groups:
        typer.echo(f"shrinking {counted(min(most, len(tally.groups)), 'kind')} of failure", err=True)
        shrink_groups(tally, place, writer=writer, most=most, told=lambda line: typer.echo(line, err=True))


def _status(tally: "Tally") -> int:
    from csisim.cli import run_output  # noqa: PLC0415

    return run_output.status("ok" if tally.counts["ok"] == tally.runs else "violation")


def _members(
    size: str | None, workload: str | None, faults: list[str] | None, strategy: str | None, protocol: list[str] | None
) -> dict[str, Any]:
    """The members of all plans that the command line says."""
    found: dict[str, Any] = {} if size is None else size_of(size)
    found |= {"workload": workload} if workload else {}
    found |= {"faults": faults_of(faults)} if faults else {}
    found |= {"strategy": strategy} if strategy else {}
    return found | ({"protocols": tuple(dict.fromkeys(protocol))} if protocol else {})


def _of_mutant(name: str) -> dict[str, Any]:
    """The mutant, and what it asks for of the plans."""
    from csisim.mutants.registry import find  # noqa: PLC0415

    return {**checked("--mutant", find, name).plan, "mutant": name} if name else {}


def _said(wanted: range | None) -> range:
    if wanted is None:
        raise typer.BadParameter("say which seeds, such as 0:1000", param_hint="--seeds")
    return wanted


def _writer(out: Path | None, resume: Path | None, work: _Work) -> "Writer":
    from csisim.explore.journal import Writer  # noqa: PLC0415

    try:
        if resume is not None and work.journal is not None:
            return Writer.go_on(resume, work.journal)
        if out == Path("-"):
            return Writer.begin(sys.stdout.buffer, work.mix, work.span, closes=False)
        return Writer.begin(None if out is None else out.open("xb"), work.mix, work.span)
    except FileExistsError:
        raise typer.BadParameter(f"{out} exists: --resume goes on with it", param_hint="--out") from None
    except OSError as error:
        raise typer.BadParameter(f"{out or resume}: {error.strerror}", param_hint="--out") from error


def _place(jobs: int, address: str | None) -> AbstractContextManager["Workplace"]:
    from csisim import executors  # noqa: PLC0415

    return executors.processes(jobs) if address is None else executors.dask(address)


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Files of the shards of one campaign.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all of it here.")] = None,
    json: JsonOption = False,
    html_dir: PagesOption = None,
) -> None:
    """Put the results of several shards together.

    Exit status 0 if everything held, 1 if something did not or could not be decided, 2 for a wrong use.
    """
    from csisim.cli import explore_output, run_output  # noqa: PLC0415
    from csisim.explore.journal import merged, read  # noqa: PLC0415
    from csisim.explore.tally import tally_of  # noqa: PLC0415

    run_output.prepare(verbose=False)
    try:
        whole = checked("FILES", lambda paths: merged((str(path), read(path)) for path in paths), files)
    except OSError as error:
        raise typer.BadParameter(f"{error.filename}: {error.strerror}", param_hint="FILES") from error
    tally = checked("FILES", tally_of, whole.records)
    if out is not None:
        with _writer(out, None, _Work(whole.mix, whole.seeds, tally)) as writer:
            writer.add(*tally.records(whole.records))
    if html_dir is not None:
        explore_output.write_pages(tally, html_dir)
    explore_output.show(tally, whole.seeds, 0.0, json=json, file=out)
    raise typer.Exit(_status(tally))
