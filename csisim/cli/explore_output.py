"""What `csisim explore`, `csisim shrink` and `csisim mutants` print and write."""

import json as json_text
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from csisim.explore.records import Shrunk
    from csisim.explore.tally import Group, Tally
    from csisim.runs.report import RunResult

_SEEDS: Final = 10
_GROUPS: Final = 20
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9]+")


def show(tally: "Tally", span: range, duration_s: float, *, json: bool, file: Path | None) -> None:
    """A campaign: what failed, by kind, and how many held.

    Args:
        tally: of the campaign.
        span: the seeds that were to be run.
        duration_s: how long it took; 0 where nothing was run.
        json: one object instead.
        file: with the results.
    """
    missing = sum(map(len, tally.missing(span)))
    if json:
        typer.echo(json_text.dumps(_summary(tally, span, duration_s, missing)))
        return
    to_stderr = file == Path("-")
    for group in tally.ordered()[:_GROUPS]:
        typer.echo("\n".join(_told(group)) + "\n", err=to_stderr)
    if (more := len(tally.groups) - _GROUPS) > 0:
        typer.echo(f"and {more} more kinds of failure\n", err=to_stderr)
    word = "FAILED" if tally.counts["ok"] != tally.runs else f"INCOMPLETE, {missing} missing" if missing else "OK"
    pace = f" in {duration_s:.1f} s" if duration_s else ""
    each = f"{tally.cpu_ms / tally.runs:.1f} ms of processor time each" if tally.runs else "nothing was run"
    typer.echo(
        f"{word}: {tally.runs} runs of the seeds {span.start}:{span.stop}{pace}, {each}, "
        f"{tally.counts['violation']} violations, {tally.counts['unknown']} unknown, {tally.calls} calls, "
        f"{tally.faults_fired} faults, digest {tally.digest}", err=to_stderr,
    )  # fmt: skip
    if missing and file is not None and not to_stderr:
        typer.echo(f"csisim explore --resume {file} goes on", err=True)


def _told(group: "Group") -> list[str]:
    from csisim.reports.text import plain  # noqa: PLC0415

    seeds = ", ".join(map(str, group.seeds[:_SEEDS]))
    more = f" and {group.count - _SEEDS} more" if group.count > _SEEDS else ""
    lines = [f"{group.count} x {plain(group.signature)}", f"    such as {plain(group.example.summary, 400)}",
             f"    seeds {seeds}{more}"]  # fmt: skip
    if group.shrunk is not None:
        lines.append(f"    shrunk to {facts(group.shrunk)}")
    return [*lines, f"    csisim replay {(group.shrunk or group.example).replay}"]


def facts(shrunk: "Shrunk") -> str:
    """What is left, and what it took."""
    from csisim.reports.text import counted  # noqa: PLC0415

    rest = "" if shrunk.finished else ", not to the end"
    return (
        f"{counted(shrunk.deviations, 'deviation')} from FIFO, {counted(shrunk.operations, 'operation')}, "
        f"{counted(shrunk.rules, 'rule')} with {counted(shrunk.firings, 'firing')}, by {counted(shrunk.runs, 'run')} "
        f"in {shrunk.cpu_ms / 1000:.1f} s{rest}"
    )


def _summary(tally: "Tally", span: range, duration_s: float, missing: int) -> dict[str, Any]:
    verdict = next((each for each in ("violation", "unknown") if tally.counts[each]), "ok")
    return {
        "verdict": verdict,
        "seeds": f"{span.start}:{span.stop}",
        "runs": tally.runs,
        "missing": missing,
        "counts": tally.counts,
        "digest": tally.digest,
        "duration_s": round(duration_s, 3),
        "cpu_ms": round(tally.cpu_ms, 1),
        "steps": tally.steps,
        "calls": tally.calls,
        "faults_fired": tally.faults_fired,
        "virtual_s": round(tally.virtual_s, 3),
        "failures": [_failure(group) for group in tally.ordered()],
    }


def _failure(group: "Group") -> dict[str, Any]:
    return {
        "signature": group.signature,
        "count": group.count,
        "seeds": group.seeds,
        "example": group.example.to_json(),
        "shrunk": None if group.shrunk is None else group.shrunk.to_json(),
    }


def write_pages(tally: "Tally", directory: Path) -> None:
    """For each kind of failure a page with the deciding steps marked, a story and a replay file.

    Args:
        tally: of the campaign.
        directory: is made if it is not there.
    """
    from csisim.runs.replay import parse_token  # noqa: PLC0415
    from csisim.runs.run import run_plan  # noqa: PLC0415

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{directory}: {error.strerror}", param_hint="--html-dir") from error
    for number, group in enumerate(tally.ordered()[:_GROUPS], 1):
        result = run_plan(parse_token((group.shrunk or group.example).replay).plan, keep_events=True)
        name = directory / f"{number:02d}-{_NOT_A_NAME.sub('-', group.signature)[:60].strip('-')}"
        write_run(result, html=name.with_suffix(".html"), replay=name.with_suffix(".json"),
                  story=name.with_suffix(".txt"))  # fmt: skip


def write_run(
    result: "RunResult", *, html: Path | None = None, replay: Path | None = None, story: Path | None = None
) -> None:
    """One run with the deciding steps marked, in as many forms as are asked for."""
    from csisim.cli.run_output import replay_of, write  # noqa: PLC0415
    from csisim.explore.marks import deciding  # noqa: PLC0415
    from csisim.reports.html import page  # noqa: PLC0415
    from csisim.reports.story import story as told  # noqa: PLC0415

    report = result.report.to_json()
    if html is not None:
        write(html, page(report, result.events, deciding(result)), "--html")
    if replay is not None:
        write(replay, replay_of(result.report).dump(result.tape), "--out")
    if story is not None:
        write(story, told(report, result.events), "--html-dir")
