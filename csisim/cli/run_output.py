"""What `csisim run` and `csisim replay` print and write."""

import errno
import json as json_text
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import typer

if TYPE_CHECKING:
    from csisim.runs.many import Tally
    from csisim.runs.report import RunReport, RunResult

_WORDS: Final = {"ok": "ok", "violation": "VIOLATION", "unknown": "UNKNOWN"}
_SHOWN_SEEDS: Final = 20
_BETWEEN_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What is to be written, and where."""

    junit: Path | None = None
    html: Path | None = None
    history: Path | None = None
    replay: Path | None = None

    @property
    def wants_events(self) -> bool:
        """Whether the history is needed, whatever the verdict."""
        return self.html is not None or self.history is not None

    def checked(self) -> Self:
        """The same, before anything is run: where a file cannot be written it is a usage error."""
        named = {"--junit": self.junit, "--html": self.html, "--history": self.history, "--replay-file": self.replay}
        for flag, path in named.items():
            if path is not None and (problem := _hindrance(path)):
                raise typer.BadParameter(f"{path}: {problem}", param_hint=flag)
        return self

    def write(
        self, result: "RunResult", reports: Sequence[Mapping[str, Any]] = (), more: Mapping[str, Any] | None = None
    ) -> None:
        """Write everything.

        Args:
            result: of the run.
            reports: of many runs, for JUnit.
            more: further members of the report.
        """
        report = result.report.to_json() | dict(more or {})
        if self.junit is not None:
            from csisim.reports.junit import suite  # noqa: PLC0415

            write(self.junit, suite(reports or [report]), "--junit")
        if self.html is not None:
            from csisim.reports.html import page  # noqa: PLC0415

            write(self.html, page(report, result.events), "--html")
        if self.history is not None:
            lines = [json_text.dumps(event.to_json(), separators=(",", ":")) for event in result.events]
            write(self.history, "".join(f"{line}\n" for line in lines), "--history")
        if self.replay is not None:
            write(self.replay, replay_of(result.report).dump(result.tape), "--replay-file")


def _hindrance(path: Path) -> str:
    """Why the file cannot be written, as far as can be told without a trace of trying."""
    if path.is_dir():
        return os.strerror(errno.EISDIR)
    if not path.parent.is_dir():
        return os.strerror(errno.ENOTDIR if path.parent.exists() else errno.ENOENT)
    return "" if os.access(path if path.exists() else path.parent, os.W_OK) else os.strerror(errno.EACCES)


def write(path: Path, text: str, flag: str) -> None:
    """Write a file; where that cannot be done it is a usage error that names the flag."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint=flag) from error


def replay_of(report: "RunReport") -> Any:
    """What does the run again."""
    from csisim.runs.plan import RunPlan  # noqa: PLC0415
    from csisim.runs.replay import Replay  # noqa: PLC0415

    return Replay(RunPlan.from_json(report.plan), report.trace_hash, report.verdict)


def prepare(*, verbose: bool) -> None:
    """Say what is to become of the logs: of gRPC's, and of the driver's, which tells of one fault after the other."""
    from csisim.logs import configure, silence  # noqa: PLC0415

    if verbose:
        configure(verbosity=3)
    else:
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        silence()


def status(verdict: str) -> int:
    """The exit status: what could not be decided is not fine."""
    return 0 if verdict == "ok" else 1


def show(result: "RunResult", *, json: bool, more: Mapping[str, Any] | None = None) -> None:
    """One run: a line per check, what was found, and how to do it again.

    Args:
        result: of the run.
        json: one object instead.
        more: further members of that object.
    """
    from csisim.reports.remarks import remarks  # noqa: PLC0415

    report = result.report.to_json() | dict(more or {})
    if json:
        typer.echo(json_text.dumps(report))
        return
    typer.echo(facts(report))
    _table(report)
    if report["verdict"] != "ok":
        from csisim.reports.story import story  # noqa: PLC0415

        typer.echo("\n" + story(report, result.events).rstrip("\n"))
        return
    for each in remarks(report):
        typer.echo(f"  note: {each}")
    typer.echo(f"\nOK: everything held\n{report['replay']}")


def facts(report: Mapping[str, Any]) -> str:
    """What was run, on one line."""
    from csisim.reports.text import counted  # noqa: PLC0415

    plan = report["plan"]
    who = counted(plan["clients"], "client" if plan["workload"] == "clients" else "user")
    if "endpoint" in plan:
        begin = [f"{plan['driver']} at {plan['endpoint']}", f"run {plan['run']}", f"seed {report['seed']}"]
        size, clock = who, "real"
    else:
        begin = [f"DRIVER WITH THE KNOWN BUG {plan['mutant']}"] if plan.get("mutant") else []
        begin += [f"seed {report['seed']}", str(report["strategy"])]
        size = f"{who} x {counted(plan['operations'], 'operation')}, {counted(plan['volumes'], 'volume')}"
        clock = "real" if report["real"] else "virtual"
    what = counted(len(plan["manifests"]), "manifest") if plan["manifests"] else size
    made = [counted(plan["nodes"], "node"), counted(report["calls"], "call"), counted(report["faults_fired"], "fault")]
    return " · ".join([*begin, what, *made, f"{report['virtual_s']:.1f} {clock} s"])


def _table(report: Mapping[str, Any]) -> None:
    from csisim.reports.rules import TITLES  # noqa: PLC0415

    width = max(map(len, report["invariants"]), default=0)
    for name, verdict in report["invariants"].items():
        looked_at = report["looked_at"].get(name, 0)
        word = _WORDS[verdict] if looked_at or verdict != "ok" else "-"
        reason = report["unknown"].get(name) or report.get("unseen", {}).get(name, "")
        line = f"  {name:<{width}}  {word:<9}  {looked_at:>6}  {TITLES.get(name, '')}{': ' if reason else ''}{reason}"
        typer.echo(line.rstrip())


class Counted(Protocol):
    """What is counted while runs are made."""

    @property
    def runs(self) -> int:
        """How many there were."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many of them had which verdict."""


@contextmanager
def progress(total: int | Callable[[], int], before: int = 0) -> Iterator[Callable[[Counted], None]]:
    """A line on standard error: how many runs, how fast, how long still. In place on a terminal.

    Args:
        total: how many there will have been; or gives how many that is, as far as is known by then.
        before: how many there were already.
    """
    started_s = time.perf_counter()
    shown_s = started_s
    in_place = sys.stderr.isatty()
    tenth = 0

    def line(tally: Counted) -> None:
        nonlocal shown_s, tenth
        of = total() if callable(total) else total
        now_s = time.perf_counter()
        rate = max(tally.runs - before, 1) / max(now_s - started_s, 1e-9)
        bad = tally.runs - tally.counts["ok"]
        text = f"{tally.runs}/{of} runs, {rate:.1f}/s, {(of - tally.runs) / rate:.0f} s left, {bad} not ok"
        if in_place:
            if now_s - shown_s >= _BETWEEN_S or tally.runs == of:
                shown_s = now_s
                typer.echo(f"\r\x1b[K{text}", nl=False, err=True)
        elif 10 * tally.runs // of > tenth:
            tenth = 10 * tally.runs // of
            typer.echo(text, err=True)

    try:
        yield line
    finally:
        if in_place and shown_s > started_s:
            typer.echo("", err=True)  # also where it was the last, and not all


def show_many(tally: "Tally", span: range, duration_s: float, *, json: bool) -> None:
    """Many runs: how many held, and the first that did not.

    Args:
        tally: of those that were made.
        span: the seeds that were to be run, from the first one on.
        duration_s: how long it took.
        json: one object instead.
    """
    worst = tally.worst
    if worst is None:
        return
    runs_per_s = tally.runs / max(duration_s, 1e-9)
    if json:
        report = worst.report.to_json() | {
            "seeds": f"{span.start}:{span.start + tally.runs}",
            "runs": tally.runs,
            "violating_seeds": tally.violating,
            "unknown_seeds": tally.unknown,
            "digest": tally.digest,
            "runs_per_s": round(runs_per_s, 3),
        }
        typer.echo(json_text.dumps(report))
        return
    if worst.report.verdict != "ok":
        show(worst, json=False)
        typer.echo("")
    for kind, seeds in (("violating", tally.violating), ("undecided", tally.unknown)):
        if seeds:
            more = f" and {len(seeds) - _SHOWN_SEEDS} more" if len(seeds) > _SHOWN_SEEDS else ""
            typer.echo(f"{kind} seeds: {', '.join(map(str, seeds[:_SHOWN_SEEDS]))}{more}")
    missing = len(span) - tally.runs
    ok = f"INCOMPLETE, {missing} missing" if missing else "OK"
    word = ok if tally.counts["ok"] == tally.runs else "FAILED"
    typer.echo(
        f"{word}: {tally.runs} runs in {duration_s:.1f} s ({runs_per_s:.1f}/s), "
        f"{tally.counts['violation']} violations, {tally.counts['unknown']} unknown, "
        f"{tally.calls} calls, {tally.faults_fired} faults, digest {tally.digest}"
    )
