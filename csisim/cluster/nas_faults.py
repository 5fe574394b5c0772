"""Faults of an embedded NAS: the sites `nas.<method>.request`, `.apply` and `.reply`, through its own hook."""

import errno
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

from csisim.cluster.nas_replies import Replies, Write
from csisim.cluster.nas_trace import NasTrace
from csisim.events import History
from csisim.faults.codes import errno_of
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane, Firing, Passing
from fake_truenas import NO_REPLY, Call, Nas, Proceed, Shaped
from fake_truenas.connection import Connection
from fake_truenas.errors import ApiError, CallError, invalid

EVENT: Final = "event.nas"
Sites = tuple[str, str, str]

_MOST_VALUES: Final = 200
_FULL: Final = {
    "pool": ("out of space", errno.EFAULT),
    "quota": ("disk quota exceeded", errno.EDQUOT),
    "rate": ("Rate Limit Exceeded", errno.EBUSY),
}
_OPERATIONS: Final = {
    "pool.dataset.create": "Failed to create dataset: cannot create '{}': {}",
    "pool.snapshot.create": "Failed to snapshot {}: {}",
    "pool.snapshot.clone": "Failed to clone snapshot: cannot create '{}': {}",
}
_SIZES: Final = ("volsize", "refquota", "quota", "refreservation", "reservation")


@dataclass(slots=True)
class _Story:
    """One call for the history; `untrue`: what its caller is told is not what happened."""

    call_id: str
    untrue: bool = False


class NasFaults:
    """The hook of one NAS; see `fake_truenas.Intercept`.

    Args:
        plane: decides.
        nas: whose calls these are.
        root_dataset: the dataset below which the volumes are.
        crash: crashes what a rule names.
        history: where calls are noted, if anywhere.
        trace: watches what they see and change.
    """

    def __init__(
        self,
        plane: FaultPlane,
        nas: Nas,
        root_dataset: str,
        crash: Callable[[str, float | None], None],
        history: History | None = None,
        trace: NasTrace | None = None,
    ) -> None:
        self._plane = plane
        self._trace = trace
        self._nas = nas
        self._crash = crash
        self._history = history
        self._sites: dict[str, Sites] = {}
        self._root = root_dataset
        self._replies = Replies()
        self._silent: list[tuple[Connection, str]] = []
        self._subject = re.compile(rf"(?:/mnt/|zvol/|^){re.escape(root_dataset)}/([^/@]+)(?:@(.+))?")
        plane.on_change("nas", self._heal)
        nas.intercept = self.intercept
        nas.shape_event = self._event

    async def intercept(self, call: Call, proceed: Proceed) -> Any:
        """Apply a call with what the rules make of it."""
        sites = self._sites.get(call.method)
        if sites is None:
            sites = self._sites_of(call.method)
        noted = self._invoke(call)
        if self._trace is not None:
            proceed = self._trace.around(call, noted, proceed)
        story = _Story(noted or str(call.request_id))
        try:
            result = await self._perform(call, sites, proceed, story)
        except ApiError as error:
            self._refused(call, noted, story, error)
            raise
        except BaseException:
            self._done("info", call, noted)
            raise
        outcome = result.outcome if isinstance(result, Shaped) else result
        if isinstance(outcome, ApiError):
            self._refused(call, noted, story, outcome)
        else:
            self._done("info" if result is NO_REPLY or story.untrue else "ok", call, noted, result=outcome)
        return result

    def _refused(self, call: Call, noted: str, story: _Story, error: ApiError) -> None:
        reason = (error.data() or {}).get("reason") or str(error)
        self._done("info" if story.untrue else "fail", call, noted, {"reason": reason.strip()[:300]})

    async def _perform(self, call: Call, sites: Sites | None, proceed: Proceed, story: _Story) -> Any:
        plane = self._plane
        if not plane.idle("process.nas"):
            for crash in plane.decide(Passing("process.nas")):
                self._crash("nas", crash.action.seconds)
                return NO_REPLY
        if sites is None:
            return self._shaped(call, await proceed(), None)
        if not any(map(plane.rules_at, sites)):
            for site in sites:
                plane.passed[site] += 1
            return self._shaped(call, await proceed(), None)
        vol, snap = self._about(call.params)
        about = partial(Passing, vol=vol, snap=snap, client=str(call.session.address or ""),
                        call_id=story.call_id, fields=lambda: {"params": call.params})  # fmt: skip
        firing = await self._meet(sites[0], about)
        if firing is not None and self._refuse(call, firing, vol):
            return NO_REPLY
        firing = await self._meet(sites[1], about)
        story.untrue = firing is not None and firing.action.kind == "lie"
        outcome = await self._apply(call, firing, vol, proceed)
        firing = await self._meet(sites[2], about)
        if firing is not None and firing.action.kind in {"error", "drop", "disconnect", "crash"}:
            lied, story.untrue = story.untrue, True  # what has happened is denied, or not told
            if self._refuse(call, firing, vol):
                return NO_REPLY
            firing, story.untrue = None, lied
        return self._shaped(call, outcome, firing)

    async def _meet(self, site: str, about: Callable[[str], Passing]) -> Firing | None:
        return None if self._plane.idle(site) else await self._plane.meet(about(site))

    async def _apply(self, call: Call, firing: Firing | None, vol: str, proceed: Proceed) -> Any:
        try:
            if firing is None:
                return await proceed()
            if firing.action.kind == "lie":
                return self._nas.rehearse(call.session, call.method, call.params)
            if self._refuse(call, firing, vol):
                return NO_REPLY
            return await proceed()
        except ApiError as error:
            return error

    def _refuse(self, call: Call, firing: Firing, vol: str) -> bool:
        """Do what ends the call. True: there is no answer. False: it goes on.

        Raises:
            ApiError: this is the answer.
        """
        action = firing.action
        match action.kind:
            case "error":
                raise CallError(action.text or f"injected by {firing.rule}", errno_of(action.word))
            case "exhaust":
                raise self._exhausted(call, action.word, vol)
            case "disconnect":
                self._disconnect(call, firing)
            case "crash":
                self._crash(action.word or "nas", action.seconds)
                return action.word not in {"node", "reboot"}  # the NAS and its caller live on
        return True

    def _exhausted(self, call: Call, what: str, vol: str) -> ApiError:
        text, number = _FULL[what]
        if what != "rate" and call.method == "pool.dataset.update":
            sizes = [key for key in _SIZES if key in str(call.params[1:])]
            return invalid(f"pool_dataset_update.{sizes[0] if sizes else _SIZES[0]}", text)
        return CallError(_OPERATIONS.get(call.method, "{1}").format(f"{self._root}/{vol}", text), number)

    def _disconnect(self, call: Call, firing: Firing) -> None:
        how, code = firing.action.word, firing.action.number
        if code is not None:
            call.connection.close_soon(code)
        elif how == "rst":
            call.connection.abort()
        elif how == "fin":
            call.connection.hang_up()
        else:
            call.connection.fall_silent()
            self._silent = [each for each in self._silent if each[0].session.connection is not None]
            self._silent.append((call.connection, firing.rule))

    def _shaped(self, call: Call, outcome: Any, firing: Firing | None) -> Any:
        """The outcome as it is, or with its reply changed; lets go of replies that waited for this one."""
        if outcome is NO_REPLY:
            return outcome
        if firing is None and not self._replies.waiting(call.connection):
            if isinstance(outcome, ApiError):
                raise outcome
            return outcome
        return Shaped(outcome, partial(self._replies.send, call.connection, firing))

    def _event(self, connection: Connection, frame: bytes, write: Write) -> None:
        firings = [] if self._plane.idle(EVENT) else self._plane.decide(Passing(EVENT, size_bytes=len(frame)))
        self._replies.send(connection, firings[0] if firings else None, frame, write)

    def _heal(self, gone: RuleState | None) -> None:
        rule = "" if gone is None else gone.rule.name
        left = []
        for connection, by in self._silent:
            if rule in ("", by):
                connection.abort()
            else:
                left.append((connection, by))
        self._silent = left
        self._replies.heal(rule)

    def _sites_of(self, method: str) -> Sites | None:
        found = (f"nas.{method}.request", f"nas.{method}.apply", f"nas.{method}.reply")
        if found[0] not in self._plane.passed:
            return None  # a name that a client made up
        self._sites[method] = found
        return found

    def _about(self, params: Any) -> tuple[str, str]:
        """Volume and snapshot that a call names; "" where it names none."""
        for text in _texts(params):
            match = self._subject.search(text) if self._root in text else None
            if match is not None:
                return match[1], f"{match[1]}@{match[2]}" if match[2] else ""
        return "", ""

    def _invoke(self, call: Call) -> str:
        if self._history is None:
            return ""
        noted = self._history.new_call()
        if self._trace is not None:
            self._trace.invoke(call, noted)
        else:
            self._history.add("invoke", "nas", call.method, call=noted, process="nas")
        return noted

    def _done(self, kind: Any, call: Call, noted: str, value: dict[str, Any] | None = None, result: Any = None) -> None:
        if self._trace is not None:
            self._trace.done(kind, call, noted, value, result)
        elif self._history is not None:
            self._history.add(kind, "nas", call.method, call=noted, process="nas", value=value)


def _texts(value: Any) -> Iterator[str]:
    """The texts in plain data, from the top down, up to a bound."""
    queue = [value]
    for item in islice(queue, _MOST_VALUES):  # grows meanwhile
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            queue.extend(item.values())
        elif isinstance(item, list):
            queue.extend(item)
