"""`csisim fault`: set, see and take back faults of a running driver or proxy; thin over `csisim.control.client`."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csisim.cli.serve_options import in_range

if TYPE_CHECKING:
    from csisim.control.client import FaultClient

UrlOption = Annotated[
    str | None,
    typer.Option("--control", envvar="CSISIM_CONTROL", show_envvar=True, help="URL that csisim printed at its start."),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", envvar="CSISIM_CONTROL_TOKEN", show_envvar=True, help="That the control server asks for."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help="Of events: rpc, nas, mount, fault; repeatable, all without.")
]

app = typer.Typer(help="Set, see and take back faults of a running driver or proxy.", no_args_is_help=True)


@app.command()
def add(
    rules: Annotated[list[str] | None, typer.Argument(help='Rules, such as "mount.umount: 2*error(EBUSY)".')] = None,
    file: Annotated[list[Path] | None, typer.Option("--file", "-f", help="A file of rules; repeatable.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the one rule; without, it gets one.")] = None,
    control: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put rules into force: all of them or none."""
    given = _given(rules or [], file or [])
    if not given:
        raise typer.BadParameter("give a rule or --file", param_hint="RULES")
    if name is not None:
        if len(given) != 1:
            raise typer.BadParameter("a name is for one rule", param_hint="--name")
        given = [{**given[0], "name": name}]
    with _client(control, token) as client:
        one = given[0]
        added = [client.add(one["rule"], name=one.get("name", ""))] if len(given) == 1 else client.add_all(given)
    _print([asdict(each) for each in added], as_json, lambda row: (row["name"], row["rule"]))


@app.command("list")
def list_(control: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the rules in force, in the order in which they are asked."""
    with _client(control, token) as client:
        found = client.rules()
    rows = [asdict(each) for each in found]
    _print(rows, as_json, lambda row: (row["name"], row["asked"], row["fired"], row["rule"]),
           ("NAME", "ASKED", "FIRED", "RULE"))  # fmt: skip


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="Names, as `list` shows them.")],
    control: UrlOption = None,
    token: TokenOption = None,
) -> None:
    """Take rules out; what hung on them goes on."""
    with _client(control, token) as client:
        for name in names:
            client.remove(name)


@app.command()
def reset(control: UrlOption = None, token: TokenOption = None) -> None:
    """Take all rules out, release every barrier and heal every connection."""
    with _client(control, token) as client:
        client.reset()


@app.command()
def sites(
    pattern: Annotated[str, typer.Argument(help="Such as 'nas.pool.*'.")] = "*",
    fired: Annotated[bool | None, typer.Option("--fired/--never", help="Only where a fault has happened, or not.")] = (
        None
    ),
    control: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """List where faults can happen, what can happen there, and how often it did."""
    with _client(control, token) as client:
        found = client.sites(pattern)
    rows = [asdict(each) for each in found if fired is None or fired is bool(each.fired)]
    if not rows and fired is None:
        _fail(f"there is no site {pattern!r}")
    _print(rows, as_json, lambda row: (row["name"], row["passed"], row["fired"], " ".join(row["actions"])),
           ("SITE", "PASSED", "FIRED", "ACTIONS"))  # fmt: skip


@app.command()
def watch(
    kind: KindOption = None,
    since: Annotated[int | None, typer.Option("--since", help="Begin after this event; 0 shows all of them.")] = None,
    count: Annotated[
        int, typer.Option("--count", callback=in_range(0, 1_000_000_000), help="End after so many; 0 for never.")
    ] = 0,
    control: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show events as they happen, until the server ends or you interrupt."""
    left = count
    with _client(control, token) as client:
        for event in client.watch(since=since, kinds=kind or ()):
            typer.echo(json.dumps(event) if as_json else _line(event))
            left -= 1
            if left == 0:
                return


@app.command()
def barriers(control: UrlOption = None, token: TokenOption = None, as_json: JsonOption = False) -> None:
    """List the barriers at which calls hang."""
    with _client(control, token) as client:
        rows = [asdict(each) for each in client.barriers()]
    _print(rows, as_json, lambda row: (row["name"], row["waiting"]), ("BARRIER", "WAITING"))


@app.command()
def release(
    barrier: Annotated[str, typer.Argument(help="Name, as `barriers` shows it.")],
    control: UrlOption = None,
    token: TokenOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let what hangs at a barrier go on."""
    with _client(control, token) as client:
        released = client.release(barrier)
    typer.echo(json.dumps({"released": released}) if as_json else f"released {released} at {barrier}")


def _given(rules: Sequence[str], files: Sequence[Path]) -> list[dict[str, str]]:
    """What is to be added; files are read here, so that their errors name them."""
    from csisim.faults.files import read_rules  # noqa: PLC0415 - only where there are files

    found = [{"rule": rule} for rule in rules]
    for path in files:
        try:
            found += [{"rule": str(rule), "name": rule.name} for rule in read_rules(path)]
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--file") from error
    return found


@contextmanager
def _client(control: str | None, token: str | None) -> "Iterator[FaultClient]":
    """A client whose errors end the command: 2 for what was given wrongly, 1 for all else."""
    from csisim.control.client import ControlFailed, FaultClient, RuleRefused  # noqa: PLC0415 - csisim --help stays quick

    if not control:
        raise typer.BadParameter("give the URL that csisim serve --control printed", param_hint="--control")
    try:
        with FaultClient(control, token) as client:
            yield client
    except RuleRefused as error:
        _fail(str(error), status=2)
    except ControlFailed as error:
        _fail(str(error))


def _fail(text: str, *, status: int = 1) -> None:
    typer.echo(f"csisim fault: {text}", err=True)
    raise typer.Exit(status)


def _print(
    rows: Sequence[dict[str, Any]],
    as_json: bool,
    cells: Callable[[dict[str, Any]], tuple[Any, ...]],
    heads: tuple[str, ...] = (),
) -> None:
    """JSON, or aligned columns, of which the last may be long."""
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = [*([heads] if heads else []), *(tuple(map(str, cells(row))) for row in rows)]
    widths = [max((len(row[column]) for row in table), default=0) for column in range(len(table[0]) if table else 0)]
    for row in table:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _line(event: dict[str, Any]) -> str:
    """One event for people: number, time, what, of which call, and the rest of it as JSON."""
    if event.get("type") == "gap":
        return f"-- {event['missed']} events are forgotten already --"
    about = " ".join(f"{key}={event[key]}" for key in ("call", "process", "parent") if event.get(key))
    value = json.dumps(event["value"]) if event.get("value") else ""
    shown = f"{event['seq']:>6}  {event['at_s']:12.6f}  {event['kind']:<5} {event['type']:<6} {event['f']}"
    return "  ".join(part for part in (shown, about, value) if part)
