"""Faults from a `csisim proxy` between us and a driver: put in, taken out, and found again in the history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from csisim.control.client import AsyncFaultClient, ControlFailed
from csisim.events import Event
from csisim.runs.stranger import CannotDrive

_PAGE: Final = 1000
_TOLERANCE_S: Final = 0.05
"""The clocks of two processes on one machine are the same, but some loops look at it rarely."""


class ProxyFaults:
    """The rules of one proxy.

    Args:
        url: of its control server.
        token: that it asks for; None for the one in CSISIM_CONTROL_TOKEN.
        rules: to be put into force.

    Attributes:
        fired: how often rules fired, as far as it was looked up.
    """

    def __init__(self, url: str, token: str | None, rules: Sequence[str]) -> None:
        try:
            self._client = AsyncFaultClient(url, token)
        except ControlFailed as error:
            raise CannotDrive(f"--proxy-control {url}: {error}") from error
        self._url = url
        self._rules = tuple(rules)
        self._since = 0
        self.fired = 0

    async def begin(self) -> None:
        """Put the rules into force, all or none.

        Raises:
            CannotDrive: nobody answers, or a rule was refused.
        """
        try:
            self._since = (await self._client.events(limit=1, kinds=("fault",))).last_seq
            if self._rules:
                await self._client.add_all(list(self._rules))
        except ControlFailed as error:
            raise CannotDrive(f"the proxy controlled at {self._url}: {error}") from error

    async def heal(self) -> None:
        """Take all rules out, also those of others: from here on nothing may go wrong.

        Raises:
            ControlFailed: the proxy does not answer.
        """
        self.fired += sum([rule.fired for rule in await self._client.rules()])
        await self._client.reset()

    async def events(self) -> list[dict[str, Any]]:
        """The faults since `begin`, in the stable form of events, their times by this machine's monotonic clock."""
        found: list[dict[str, Any]] = []
        since = self._since
        while True:
            page = await self._client.events(since=since, limit=_PAGE, kinds=("fault",))
            found += page.events
            if page.next <= since or page.next >= page.last_seq:
                return found
            since = page.next

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()


@dataclass(slots=True)
class _Call:
    f: str
    call: str
    begin_s: float
    end_s: float
    end: int
    about: str


def woven(events: Sequence[Event], faults: Sequence[dict[str, Any]], started_s: float) -> list[Event]:
    """A history with the faults of a proxy in it: each just before the end of the call that it hit.

    Args:
        events: in order, values as plain data; times since `started_s`.
        faults: as `ProxyFaults.events` gives them.
        started_s: when the history began, by the clock of the faults.
    """
    calls = _calls(events)
    placed: dict[int, list[Event]] = {}
    for fault in faults:
        at_s = float(fault["at_s"]) - started_s
        hit = _hit(calls, str(fault["f"]), at_s, dict(fault.get("value") or {}))
        after = len(events) if hit is None else hit.end
        event = Event(0, at_s, "info", "fault", str(fault["f"]), parent="" if hit is None else hit.call,
                      value=dict(fault.get("value") or {}))  # fmt: skip
        placed.setdefault(after, []).append(event)
    ordered: list[Event] = []
    for place, event in enumerate(events):
        ordered += [*placed.get(place, ()), event]
    ordered += placed.get(len(events), ())
    return [replace(event, seq=number) for number, event in enumerate(ordered, start=1)]


def _calls(events: Sequence[Event]) -> list[_Call]:
    """The calls of callers, each with the place of its last event."""
    found: dict[str, _Call] = {}
    for place, event in enumerate(events):
        if event.kind != "call":
            continue
        if event.type == "invoke":
            value = dict(event.value)  # type: ignore[arg-type] # plain data
            about = str(value.get("volume_id") or value.get("name") or value.get("snapshot_id") or "")
            found[event.call] = _Call(event.f, event.call, event.at_s, float("inf"), len(events), about)
        elif event.call in found:
            found[event.call].end_s = event.at_s
            found[event.call].end = place
    return list(found.values())


def _hit(calls: Sequence[_Call], site: str, at_s: float, value: dict[str, Any]) -> _Call | None:
    """The call that a fault at a site hit; of several the one about the same volume, and then the nearest in time."""
    method = site.split(".")[1] if site.startswith("rpc.") else ""
    near = [each for each in calls
            if each.f == method and each.begin_s - _TOLERANCE_S <= at_s <= each.end_s + _TOLERANCE_S]  # fmt: skip
    subject = {str(value.get(key)) for key in ("vol", "volume", "snap", "snapshot") if value.get(key)}

    def distance(each: _Call) -> tuple[bool, float]:
        return each.about not in subject, max(0.0, each.begin_s - at_s, at_s - each.end_s)

    return min(near, key=distance, default=None)
