"""What the clients send and how they read the answers: the part of them that does no I/O."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from csisim.control.records import BarrierRecord, RuleRecord, SiteRecord, StatusRecord

T = TypeVar("T")
Rules = Sequence[str | Mapping[str, str]]

URL_VARIABLE: Final = "CSISIM_CONTROL"
TOKEN_VARIABLE: Final = "CSISIM_CONTROL_TOKEN"  # noqa: S105 - a name
TIMEOUT_S: Final = 30.0


class ControlFailed(Exception):
    """The control server refused, or did not answer.

    Attributes:
        reason: as the server says it.
        status: of HTTP; 0 where there was no answer, and the effect may have happened.
        column: of a rule, where it is wrong; None otherwise.
        line: of several rules, which is wrong, counted from 1; None otherwise.
    """

    def __init__(self, reason: str, *, status: int = 0, column: int | None = None, line: int | None = None) -> None:
        where = "" if column is None else f"column {column}: " if line is None else f"line {line}, column {column}: "
        super().__init__(f"{where}{reason}")
        self.reason, self.status, self.column, self.line = reason, status, column, line


class NoSuchRule(ControlFailed):
    """There is nothing of this name."""


class RuleRefused(ControlFailed):
    """It is not a rule, or could not be honoured; nothing was changed."""


class Unreachable(ControlFailed):
    """Nobody answers there, or the answer is not a control server's."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some events.

    Attributes:
        events: in the stable form of `csisim.events`.
        next: number of the last event that was looked at; ask for those since it.
        last_seq: number of the newest event.
    """

    events: list[dict[str, Any]]
    next: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        method: of HTTP.
        path: below the server's URL.
        read: makes the result of the answer's JSON.
        json: the body.
        params: of the query.
        timeout_s: how long the answer may take.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    json: Any = None
    params: Mapping[str, Any] | None = None
    timeout_s: float = TIMEOUT_S


def where(url: str | None, token: str | None) -> tuple[str, dict[str, str]]:
    """URL and headers, by default from the environment.

    Raises:
        Unreachable: no URL is known.
    """
    found = url or os.environ.get(URL_VARIABLE, "")
    if not found:
        raise Unreachable(f"no control server is known: give its URL, or set {URL_VARIABLE}")
    if "://" not in found:
        found = f"http://{found}"
    shown = token or os.environ.get(TOKEN_VARIABLE, "")
    return found.rstrip("/"), {"authorization": f"Bearer {shown}"} if shown else {}


def failure(status: int, body: Any) -> ControlFailed:
    """The error of an answer that is none of success."""
    if not isinstance(body, Mapping) or not isinstance(body.get("error"), str):
        return Unreachable(f"what answers there is not a control server (status {status})", status=status)
    kind = {404: NoSuchRule, 422: RuleRefused, 409: RuleRefused}.get(status, ControlFailed)
    return kind(body["error"], status=status, column=body.get("column"), line=body.get("line") or body.get("item"))


def _record(kind: type[T], row: Mapping[str, Any]) -> T:
    """A record out of its JSON; members that a newer server has are left out."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type] # all of them are dataclasses
    shown = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return kind(**{key: value for key, value in shown.items() if key in known})


def _rule(row: Any) -> RuleRecord:
    return _record(RuleRecord, row)


def _rules(rows: Any) -> list[RuleRecord]:
    return [_rule(row) for row in rows]


def _nothing(_: Any) -> None:
    return None


def add(rule: str, name: str) -> Call[RuleRecord]:
    """Put a rule into force."""
    return Call("POST", "/rules", _rule, {"rule": rule, "name": name})


def add_all(rules: Rules) -> Call[list[RuleRecord]]:
    """Put several into force, or none."""
    return Call("POST", "/rules", _rules, [rule if isinstance(rule, str) else dict(rule) for rule in rules])


def add_text(text: str) -> Call[list[RuleRecord]]:
    """Put the rules of a text into force, or none."""
    return Call("POST", "/rules", _rules, {"text": text})


def rules() -> Call[list[RuleRecord]]:
    """All in force."""
    return Call("GET", "/rules", _rules)


def change(name: str, rule: str) -> Call[RuleRecord]:
    """Another text for a rule."""
    return Call("PATCH", _path("/rules", name), _rule, {"rule": rule})


def remove(name: str) -> Call[None]:
    """Take a rule out."""
    return Call("DELETE", _path("/rules", name), _nothing)


def reset() -> Call[None]:
    """Heal everything."""
    return Call("POST", "/reset", _nothing)


def status() -> Call[StatusRecord]:
    """What is controlled."""
    return Call("GET", "/status", lambda row: _record(StatusRecord, row))


def sites(pattern: str) -> Call[list[SiteRecord]]:
    """Where faults can happen."""
    return Call("GET", "/sites", lambda rows: [_record(SiteRecord, row) for row in rows], params={"pattern": pattern})


def events(since: int, limit: int, kinds: Sequence[str]) -> Call[Page]:
    """What happened."""
    params = {"since": since, "limit": limit, "kind": list(kinds)}
    return Call("GET", "/events", lambda row: Page(row["events"], row["next"], row["last_seq"]), params=params)


def barriers() -> Call[list[BarrierRecord]]:
    """Where calls hang."""
    return Call("GET", "/barriers", lambda rows: [_record(BarrierRecord, row) for row in rows])


def release(barrier: str) -> Call[int]:
    """Let them go on."""
    return Call("POST", f"{_path('/barriers', barrier)}/release", lambda row: int(row["released"]))


def crash(what: str, node: str, down_s: float) -> Call[None]:
    """End a process and start it again."""
    body = {"what": what, "node": node, "down_s": down_s}
    return Call("POST", "/crash", _nothing, body, timeout_s=TIMEOUT_S + down_s)


def disconnect_nas() -> Call[int]:
    """Reset the connections to the NAS."""
    return Call("POST", "/disconnect-nas", lambda row: int(row["connections"]))


def leftovers() -> Call[list[str]]:
    """What of volumes there is."""
    return Call("GET", "/leftovers", lambda row: list(row["leftovers"]))


def _path(folder: str, name: str) -> str:
    return f"{folder}/{quote(name, safe='')}"
