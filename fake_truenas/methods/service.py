"""service.*: the daemons that serve shares (TrueNAS API 25.10). Starting and stopping takes no time here.

What is not running serves nobody: stopping `iscsitarget` or `nvmet` ends the sessions of initiators and hosts, and new
ones are refused (`fake.block.connect`). A reload changes nothing, and a restart only the process: initiators are back
before anybody could tell.
"""

from collections.abc import Mapping
from typing import Any

from fake_truenas import services
from fake_truenas.block_sessions import ISCSI, NVMET, drop_all_sessions
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.errors import CallError, MatchNotFound, Unexpected, does_not_exist
from fake_truenas.jobs import JobRun
from fake_truenas.query import QUERY_OPTIONS, QUERY_PARAMS, filter_list
from fake_truenas.registry import Job, Namespace
from fake_truenas.schema import AnyOf, Bool, Enum, Field, Int, Nullable, Obj, Str
from fake_truenas.store import Row

_ENOENT = 2
_FIRST_PID = 2000
_NVMET = "nvmet"
# (id, name, enabled and running): ids as on a real system, where they are fixed.
_SERVICES = (
    (4, "cifs", 1),
    (6, "ftp", 0),
    (7, "iscsitarget", 1),
    (9, "nfs", 1),
    (10, "snmp", 0),
    (11, "ssh", 1),
    (14, "ups", 0),
    (25, _NVMET, 1),
)
# These cannot reload: they are restarted instead, and so run afterwards.
_RESTARTED = frozenset(("snmp", "ups"))
_SESSIONS = {"iscsitarget": ISCSI, _NVMET: NVMET}

service = Namespace("service", tables=services.tables(_SERVICES))
namespaces = (service,)

_OPTIONS = Obj(
    Field("ha_propagate", Bool(), default=True),
    Field("silent", Bool(), default=True),
    Field("timeout", Nullable(Int()), default=120),
)
_CALL = (Field("service", Str()), Field("options", _OPTIONS, default={}))


def _rows(ctx: Ctx) -> list[Row]:
    """The services that the release has; before 25.10 there was no NVMe-oF."""
    rows = ctx.db.rows("select * from service order by id")
    return rows if ctx.nas.persona.at_least("25.10") else [row for row in rows if row["service"] != _NVMET]


def _entry(row: Row) -> Entry:
    # A restarted daemon is another process.
    pids = [_FIRST_PID + row["id"] * 100 + row["starts"]] if row["running"] else []
    return {
        "id": row["id"],
        "service": row["service"],
        "enable": bool(row["enable"]),
        "state": "RUNNING" if row["running"] else "STOPPED",
        "pids": pids,
    }


def _find(ctx: Ctx, name: str) -> Row:
    """A service by its name.

    Raises:
        Unexpected: there is none; the real server's text for this is the name alone, with errno 22.
    """
    row = next((row for row in _rows(ctx) if row["service"] == name), None)
    if row is None:
        raise Unexpected(IndexError(name))
    return row


def _set(ctx: Ctx, row: Row, running: int, *, started: bool = False) -> None:
    ctx.db.run("update service set running = ?, starts = starts + ? where id = ?", (running, started, row["id"]))
    ctx.emit("service.query", "changed", row["id"], lambda: _entry(_find(ctx, row["service"])))


def _start(ctx: Ctx, name: str) -> bool:
    row = _find(ctx, name)
    _set(ctx, row, 1, started=not row["running"])
    return True


def _stop(ctx: Ctx, name: str) -> bool:
    _set(ctx, _find(ctx, name), 0)
    if name in _SESSIONS:
        drop_all_sessions(ctx.db, _SESSIONS[name])
    return True


def _restart(ctx: Ctx, name: str) -> bool:
    _set(ctx, _find(ctx, name), 1, started=True)
    return True


def _reload(ctx: Ctx, name: str) -> bool:
    row = _find(ctx, name)
    if name in _RESTARTED:
        return _restart(ctx, name)
    _set(ctx, row, row["running"])
    return bool(row["running"])


_VERBS = {"START": _start, "STOP": _stop, "RESTART": _restart, "RELOAD": _reload}


@service.method("query", *QUERY_PARAMS)
def query(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """All services with their state, which `extra.include_state: false` leaves out."""
    entries = [_entry(row) for row in _rows(ctx)]
    if options["extra"].get("include_state") is False:
        entries = [{**entry, "state": "UNKNOWN", "pids": []} for entry in entries]
    return filter_list(entries, filters, options)


@service.method("get_instance", Field("id", Int()), Field("options", QUERY_OPTIONS, default={}))
def get_instance(ctx: Ctx, service_id: int, options: dict[str, Any]) -> Entry:  # noqa: ARG001 - given shape
    """One service."""
    row = next((row for row in _rows(ctx) if row["id"] == service_id), None)
    if row is None:
        raise does_not_exist("Service", service_id)
    return _entry(row)


@service.method(
    "update", Field("id_or_name", AnyOf(Int(), Str())), Field("service_update", Obj(Field("enable", Bool())))
)
def update(ctx: Ctx, id_or_name: int | str, data: Mapping[str, bool]) -> int:
    """Set whether the service starts at boot; gives its id."""
    text = str(id_or_name)
    row = next((row for row in _rows(ctx) if text in {str(row["id"]), row["service"]}), None)
    if row is None:
        raise CallError(f"Service {text:.100} not found.", _ENOENT)
    ctx.db.run("update service set enable = ? where id = ?", (data["enable"], row["id"]))
    ctx.emit("service.query", "changed", row["id"], lambda: _entry(_find(ctx, row["service"])))
    return int(row["id"])


@service.method(
    "control",
    Field("verb", Enum(*_VERBS)),
    *_CALL,
    job=Job(lock=lambda verb, name, options: f"service_{name}"),  # noqa: ARG005 - given shape
)
async def control(ctx: Ctx, job: JobRun, verb: str, name: str, options: Mapping[str, Any]) -> bool:  # noqa: ARG001
    """Start, stop, restart or reload; a job whose result says whether the service is as wanted.

    Raises:
        Unexpected: there is no such service.
    """
    with ctx.transaction():
        return _VERBS[verb](ctx, name)


@service.method("start", *_CALL, until="26.0")
def start(ctx: Ctx, name: str, options: Mapping[str, Any]) -> bool:  # noqa: ARG001 - nothing takes time or fails
    """Start; true once it runs."""
    return _start(ctx, name)


@service.method("stop", *_CALL, until="26.0")
def stop(ctx: Ctx, name: str, options: Mapping[str, Any]) -> bool:  # noqa: ARG001 - as above
    """Stop; true once it has stopped."""
    return _stop(ctx, name)


@service.method("restart", *_CALL, until="26.0")
def restart(ctx: Ctx, name: str, options: Mapping[str, Any]) -> bool:  # noqa: ARG001 - as above
    """Stop and start; true once it runs."""
    return _restart(ctx, name)


@service.method("reload", *_CALL, until="26.0")
def reload(ctx: Ctx, name: str, options: Mapping[str, Any]) -> bool:  # noqa: ARG001 - as above
    """Read the configuration again; whether it runs."""
    return _reload(ctx, name)


@service.method("started", Field("service", Str()))
def started(ctx: Ctx, name: str) -> bool:
    """Whether it runs."""
    return bool(_find(ctx, name)["running"])


@service.method("started_or_enabled", Field("service", Str()))
def started_or_enabled(ctx: Ctx, name: str) -> bool:
    """Whether it runs, or starts at boot."""
    row = next((row for row in _rows(ctx) if row["service"] == name), None)
    if row is None:
        raise MatchNotFound
    return bool(row["running"] or row["enable"])
