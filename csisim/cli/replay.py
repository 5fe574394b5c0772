"""`csisim replay`: does a run again, and says whether it was the same."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csisim.cli.ending import interrupted, until_signalled
from csisim.cli.run import HistoryOption, HtmlOption, JsonOption, JunitOption, VerboseOption, check
from csisim.cli.serve_options import checked

if TYPE_CHECKING:
    from csisim.runs.replay import Replay

_MOST_BYTES = 8 << 20


def replay(
    what: Annotated[
        str,
        typer.Argument(metavar="TOKEN|FILE", help="The token that a run has printed, or a file that it has written."),
    ],
    *,
    by_tape: Annotated[
        bool, typer.Option("--by-tape", help="Follow the schedule in the file, step by step, instead of the strategy.")
    ] = False,
    json: JsonOption = False,
    junit: JunitOption = None,
    html: HtmlOption = None,
    history: HistoryOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Do a run again: the same seed, the same schedule, the same end.

    Exit status 0 if everything held, 1 if something did not or could not be decided, 2 for a wrong use.
    """
    from csisim.cli import run_output  # noqa: PLC0415 - what a command needs is imported when it runs
    from csisim.runs.run import run_plan  # noqa: PLC0415

    known = checked("TOKEN|FILE", lambda given: read(given, by_tape=by_tape), what)
    files = run_output.Files(junit=junit, html=html, history=history).checked()
    run_output.prepare(verbose=verbose)
    check(known.plan)
    with until_signalled() as end:
        result = run_plan(known.plan, keep_events=files.wants_events)
    if end.signal:
        raise typer.Exit(interrupted(end))
    same = None if known.plan.real or not known.trace_hash else known.trace_hash == result.report.trace_hash
    if json:
        run_output.show(result, json=True, more={"same_trace": same})
    else:
        run_output.show(result, json=False)
        typer.echo(_compared(known, result.report.trace_hash, same))
    files.write(result)
    raise typer.Exit(run_output.status(result.report.verdict))


def _compared(known: "Replay", trace_hash: str, same: bool | None) -> str:
    from csisim import __version__  # noqa: PLC0415

    if known.plan.real:
        return "the run was on real sockets: only its choices are the same"
    if same is None:
        return f"trace {trace_hash}"
    if same:
        return f"the same run: trace {trace_hash}"
    other = "" if known.version == __version__ else f"; it was csisim {known.version}, this is {__version__}"
    return f"ANOTHER run: trace {trace_hash}, it was {known.trace_hash}{other}"


def read(what: str, *, by_tape: bool = False) -> "Replay":
    """A token, or the file of that name.

    Raises:
        ValueError: it is neither; says what is wrong with it.
    """
    from dataclasses import replace  # noqa: PLC0415

    from csisim.runs.replay import PREFIX, parse_file, parse_token, tape_of  # noqa: PLC0415

    if what.startswith(PREFIX):
        if by_tape:
            raise ValueError("a token has no schedule: --by-tape is for files")
        return parse_token(what)
    content = _content(Path(what))
    found = parse_file(content)
    return replace(found, plan=replace(found.plan, tape=tape_of(content))) if by_tape else found


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{str(path)[:200]}: neither a token (csi1-...) nor a file: {error.strerror}") from error
    except ValueError as error:  # NUL in it
        raise ValueError(f"{str(path)[:80]!r} is neither a token (csi1-...) nor the name of a file") from error
