"""`csisim check`: judge a history that was written earlier."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from csisim.check.verdicts import Result
    from csisim.events import Event

_MOST_BYTES = 1 << 31
_ELSEWHERE = "races and termination are judged by csisim run alone"


def check(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines, as csisim run --history writes them.")],
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this check; may be repeated.")] = None,
    secrets: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Texts that must not be in the history, one per line, for I15.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the verdicts as one JSON object.")] = False,
) -> None:
    """Judge a history: every invariant, and whether each volume's calls are linearizable.

    Exit status 0 if everything held, 1 if something did not or could not be decided, 2 if the file cannot be judged.
    """
    from csisim.check.all import check_history  # noqa: PLC0415 - what a command needs is imported when it runs

    events = _events(file)
    try:
        results = check_history(events, secrets=_secrets(secrets), only=only)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except (TypeError, LookupError, AttributeError, ArithmeticError) as error:
        # Lines are checked as they are read, what is inside of their values only by those who look there.
        where = _misshapen(file, events) or f"a value in it ({type(error).__name__}: {error})"
        raise typer.BadParameter(
            f"{file}: {where}: it has another form than docs/history.md gives", param_hint="FILE"
        ) from error
    if json:
        typer.echo(_as_json(results, len(events)))
    else:
        _show(results, len(events))
    raise typer.Exit(0 if all(result.verdict == "ok" for result in results) else 1)


def _events(file: Path) -> "list[Event]":
    from csisim.check.history import HistoryError, load  # noqa: PLC0415

    try:
        if file.stat().st_size > _MOST_BYTES:
            raise typer.BadParameter(f"{file}: larger than {_MOST_BYTES >> 30} GiB", param_hint="FILE")
        with file.open(encoding="utf-8") as lines:
            events = load(lines)
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror or error}", param_hint="FILE") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file}: byte {error.start} is not UTF-8", param_hint="FILE") from error
    except HistoryError as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="FILE") from error
    if not events:
        raise typer.BadParameter(f"{file}: no events in it", param_hint="FILE")
    return events


def _misshapen(file: Path, events: "list[Event]") -> str:
    """Line, event and member of the first value that no check can make sense of; "" if all look as they should."""
    from csisim.check.values import wrong_member  # noqa: PLC0415

    found = next(((place, event, wrong) for place, event in enumerate(events) if (wrong := wrong_member(event))), None)
    if found is None:
        return ""
    place, event, wrong = found
    with file.open(encoding="utf-8") as lines:
        written = [number for number, line in enumerate(lines, start=1) if line.strip()]
    return f"line {written[place]} (seq {event.seq}, {event.kind} {event.f}): value.{wrong}"


def _secrets(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        # The error of a decoder would show the bytes.
        raise typer.BadParameter(f"{file}: cannot be read as UTF-8 text", param_hint="--secrets") from error


def _as_json(results: "list[Result]", events: int) -> str:
    import orjson  # noqa: PLC0415

    from csisim.check.verdicts import worst  # noqa: PLC0415

    shown = {
        "verdict": worst([result.verdict for result in results]),
        "events": events,
        "invariants": {result.check: result.verdict for result in results},
        "looked_at": {result.check: result.looked_at for result in results},
        "unknown": {result.check: result.unknown for result in results if result.unknown},
        "violations": [found.to_json() for result in results for found in result.violations],
    }
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()


def _show(results: "list[Result]", events: int) -> None:
    from csisim.reports.text import counted  # noqa: PLC0415

    width = max(len(result.check) for result in results)
    for result in results:
        never = "no --secrets were given" if result.check == "I15" else "never came near it"
        about = f"{result.looked_at} looked at" if result.looked_at else never
        typer.echo(f"{result.check:<{width}}  {result.verdict:<9}  {result.unknown or about}")
    for result in results:
        for found in result.violations:
            typer.echo(f"\n{found.check}: {found.summary}\n  {found.why}")
            if found.events:
                typer.echo(f"  events {', '.join(map(str, found.events))}")
            for line in found.detail.splitlines():
                typer.echo(f"  {line}")
    bad = sum(len(result.violations) for result in results)
    typer.echo(f"\n{counted(events, 'event')}, {counted(bad, 'violation')}; {_ELSEWHERE}")
