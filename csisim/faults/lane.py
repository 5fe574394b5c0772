"""One direction of a connection: pieces leave in the order in which they came, each not before its time."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane, Firing, Passing

if TYPE_CHECKING:
    from csisim.faults.link import Line

_MOST_SLICES: Final = 10_000
_THROTTLE_STEP_S: Final = 0.05


@dataclass(slots=True)
class _Item:
    """What leaves: bytes, or something to do. `rules` are those that made it late."""

    at_s: float
    size_bytes: int
    leave: Callable[[], None]
    rules: tuple[str, ...] = ()


@dataclass(slots=True)
class _Shape:
    """What becomes of one chunk."""

    data: bytes
    at_s: float
    size: int = 0
    pause_s: float = 0.0
    rate: int = 0
    rules: tuple[str, ...] = ()
    ends: bool = False


class Lane:
    """One direction of a line.

    Args:
        plane: decides.
        site: which direction.
        line: the connection.
        deliver: takes bytes that leave.

    Attributes:
        held_bytes: how many bytes wait here.
    """

    def __init__(self, plane: FaultPlane, site: str, line: "Line", deliver: Callable[[bytes], None]) -> None:
        self._plane = plane
        self._site = site
        self._line = line
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._items: deque[_Item] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._holds: dict[str, asyncio.TimerHandle | None] = {}
        self._hangs: dict[str, asyncio.Task[None]] = {}
        self._used: dict[str, int] = {}
        self._free_at_s: dict[str, float] = {}
        self.held_bytes = 0

    def put(self, data: bytes) -> None:
        """Take bytes in."""
        if not self._busy() and self._plane.idle(self._site):
            self._deliver(data)
            return
        shape = self._shaped(data)
        if shape is not None:
            self._items.extend(self._pieces(shape))
            self.held_bytes += len(shape.data)
            if shape.ends:
                self._items.append(_Item(shape.at_s, 0, self._line.close))
        self.run()

    def then(self, act: Callable[[], None]) -> None:
        """Do something once all that is here has left; at once if there is nothing."""
        if not self._busy():
            act()
        else:
            self._items.append(_Item(0.0, 0, act))
            self.run()

    def end(self, act: Callable[[], None]) -> None:
        """Say that the stream ends, by doing something once all that is here has left; the end may be late or lost."""
        at_s = self._loop.time()
        rules: tuple[str, ...] = ()
        site = self._site.replace("link.", "fin.")
        for firing in () if self._plane.idle(site) else self._plane.decide(Passing(site)):
            match firing.action.kind:
                case "drop":
                    return
                case "hang":
                    self._hang(firing.action.word or firing.rule)
                case _:
                    at_s += firing.delay_s()
                    rules += (firing.rule,)
        if rules:
            self._items.append(_Item(at_s, 0, act, rules))
            self.run()
        else:
            self.then(act)

    def hold(self, firing: Firing, then: Callable[[], None] | None = None) -> None:
        """Let nothing leave until the firing's time or window is over, or its rule is gone; in time, do something."""
        rule, wait_s = firing.rule, firing.action.seconds
        if rule in self._holds:
            return
        if wait_s is None and firing.until_s is not None:
            wait_s = max(0.0, firing.until_s - self._plane.now())
        self._holds[rule] = None if wait_s is None else self._loop.call_later(wait_s, self._let_go, rule, then)

    def heal(self, gone: RuleState | None) -> None:
        """What this rule held up goes on; None: what any did."""
        for rule in tuple(self._holds):
            if gone is None or rule == gone.rule.name:
                self._drop_hold(rule)
        if gone is None:
            self._cancel_hangs()
        for item in self._items:
            if gone is None or gone.rule.name in item.rules:
                item.at_s = 0.0
        self._forget(gone)
        self.run()

    def clear(self) -> None:
        """Forget what is here, and what would wake up for it."""
        self._items.clear()
        self.held_bytes = 0
        for rule in tuple(self._holds):
            self._drop_hold(rule)
        self._cancel_hangs()
        self._stop_timer()

    def run(self) -> None:
        """Let leave what may."""
        self._stop_timer()
        while self._items and not self._holds and not self._hangs:
            item = self._items[0]
            if item.size_bytes and self._line.paused and self is self._line.down:
                break
            if item.at_s > self._loop.time():
                self._timer = self._loop.call_at(item.at_s, self.run)
                break
            self._items.popleft()
            self.held_bytes -= item.size_bytes
            item.leave()
        self._line.flow()

    def _busy(self) -> bool:
        return bool(self._items or self._holds or self._hangs)

    def _shaped(self, data: bytes) -> _Shape | None:
        """What the rules make of a chunk; None where nothing is left of it."""
        shape = _Shape(data, self._loop.time())
        for firing in self._plane.decide(Passing(self._site, size_bytes=len(data))):
            action = firing.action
            match action.kind:
                case "delay" | "stall":
                    shape.at_s += firing.delay_s()
                    shape.rules += (firing.rule,)
                case "hang":
                    self._hang(action.word or firing.rule)
                case "throttle" | "slice" | "limit":
                    self._bound(shape, firing)
                case "corrupt":
                    shape.data = _flipped(shape.data, firing.draw)
                case "drop":
                    return None
                case "truncate":
                    shape.data = shape.data[: action.size_bytes or 0]
                case _:
                    self._line.cut(firing, self)
                    if action.word in {"fin", "rst"}:
                        return None  # the chunk that met it is lost
        return shape

    def _bound(self, shape: _Shape, firing: Firing) -> None:
        action, size_bytes = firing.action, firing.action.size_bytes or 0
        if action.kind == "limit":
            left = max(0, size_bytes - self._used.get(firing.rule, 0))
            self._used[firing.rule] = self._used.get(firing.rule, 0) + len(shape.data)
            if len(shape.data) > left:
                shape.data, shape.ends = shape.data[:left], True
            return
        shape.rules += (firing.rule,)
        if action.kind == "slice":
            shape.size, shape.pause_s = max(1, size_bytes), action.seconds or 0.0
            return
        # Each piece arrives when its last byte has, and bytes share the line with those before them.
        begin_s = max(self._free_at_s.get(firing.rule, 0.0), shape.at_s)
        self._free_at_s[firing.rule] = begin_s + len(shape.data) / size_bytes
        step = max(1, int(size_bytes * _THROTTLE_STEP_S))
        shape.at_s, shape.rate, shape.size = begin_s, size_bytes, min(shape.size or step, step)

    def _pieces(self, shape: _Shape) -> Iterator[_Item]:
        data = shape.data
        size = max(shape.size, 1 + len(data) // _MOST_SLICES) if shape.size else max(1, len(data))
        for number, start in enumerate(range(0, len(data), size)):
            piece = data[start : start + size]
            late_s = number * shape.pause_s + ((start + len(piece)) / shape.rate if shape.rate else 0.0)
            yield _Item(shape.at_s + late_s, len(piece), _delivery(self._deliver, piece), shape.rules)

    def _hang(self, barrier: str) -> None:
        if barrier not in self._hangs:
            task = self._loop.create_task(self._plane.barriers.wait(barrier))
            self._hangs[barrier] = task
            task.add_done_callback(lambda _: self._unhang(barrier, task))

    def _unhang(self, barrier: str, task: "asyncio.Task[None]") -> None:
        if self._hangs.get(barrier) is task:
            del self._hangs[barrier]
            self.run()

    def _cancel_hangs(self) -> None:
        hangs, self._hangs = self._hangs, {}
        for task in hangs.values():
            task.cancel()

    def _let_go(self, rule: str, then: Callable[[], None] | None) -> None:
        self._drop_hold(rule)
        if then is not None:
            self._items.clear()
            self.held_bytes = 0
            then()
        self.run()

    def _drop_hold(self, rule: str) -> None:
        timer = self._holds.pop(rule, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, gone: RuleState | None) -> None:
        for kept in (self._used, self._free_at_s):
            for rule in tuple(kept):
                if gone is None or rule == gone.rule.name:
                    del kept[rule]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _delivery(deliver: Callable[[bytes], None], piece: bytes) -> Callable[[], None]:
    return lambda: deliver(piece)


def _flipped(data: bytes, draw: float) -> bytes:
    """The same bytes with one bit of one of them the other way round."""
    if not data:
        return data
    at = int(draw * len(data))
    return data[:at] + bytes([data[at] ^ (1 << int(draw * 8191) % 8)]) + data[at + 1 :]
