"""One direction of a simulated TCP connection: bytes in order, a window, a way that takes time or holds them up."""

import enum
import errno
import os
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from csisim.sim.loop import SimLoop

_SEGMENT_BYTES = 64 << 10


class Mark(enum.Enum):
    """What travels behind the bytes: the end of the stream, or a reset."""

    FIN = "fin"
    RST = "rst"


Item: TypeAlias = bytes | Mark


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a way through the network is like.

    Attributes:
        latency_s: the shortest and the longest time that a segment takes one way; it never overtakes another one.
        bytes_per_s: how fast bytes leave; None for at once.
        split: the chance that a write arrives in two pieces, as TCP allows it to.
        window_bytes: how much may be on its way or unread; the rest waits at the sender.
        give_up_s: how long a segment may stay unacknowledged until the sender's connection is lost with ETIMEDOUT.
        connect_timeout_s: how long a connection attempt goes unanswered until it fails so.
    """

    latency_s: tuple[float, float] = (0.0001, 0.001)
    bytes_per_s: float | None = None
    split: float = 0.0
    window_bytes: int = 256 << 10
    give_up_s: float = 924.6
    connect_timeout_s: float = 127.0

    def __post_init__(self) -> None:
        shortest, longest = self.latency_s
        if not 0 <= shortest <= longest:
            raise ValueError(f"latency_s: {self.latency_s} is not a shortest and a longest time")
        if (
            not 0 <= self.split <= 1
            or self.window_bytes < 1
            or (self.bytes_per_s is not None and self.bytes_per_s <= 0)
        ):
            raise ValueError(f"{self}: split is a chance; window_bytes and bytes_per_s are more than 0")

    def latency(self, rng: random.Random) -> float:
        """How long one segment takes, in seconds."""
        shortest, longest = self.latency_s
        # As rng.uniform has it: there is one for each segment.
        return shortest if shortest == longest else shortest + (longest - shortest) * rng.random()


class Sender(Protocol):
    """The end that the bytes come from."""

    def room(self) -> None:
        """Something has left."""

    def break_off(self, error: OSError) -> None:
        """The connection is broken."""


class Receiver(Protocol):
    """The end that the bytes come to.

    Attributes:
        context: what it is called in.
    """

    context: Context

    def takes(self) -> bool:
        """Whether it reads now."""

    def arrived(self, item: Item) -> None:
        """Bytes, or a mark, in order."""


class Direction:
    """From one end to the other.

    Args:
        loop: the simulated one.
        conditions: of this way.
        rng: draws latencies and splits.
        name: for the trace.
        is_cut: whether nothing gets through now.
    """

    def __init__(
        self,
        loop: "SimLoop",
        conditions: Conditions,
        rng: random.Random,
        name: str,
        is_cut: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._conditions = conditions
        self._rng = rng
        self._name = name
        self._is_cut = is_cut
        self._unsent: deque[Item] = deque()
        self._in_flight: deque[tuple[float, Item]] = deque()
        self._unread: deque[Item] = deque()
        self._outstanding_bytes = 0
        self._last_arrival = 0.0
        self._free_at = 0.0
        self._waits_since: float | None = None
        self.held = False
        self.unsent_bytes = 0
        self.unread_bytes = 0
        self._sender: Sender
        self._receiver: Receiver

    def between(self, sender: Sender, receiver: Receiver) -> None:
        """Set the ends."""
        self._sender, self._receiver = sender, receiver

    def put(self, item: Item) -> None:
        """Hand something to the sender's kernel."""
        if isinstance(item, bytes):
            self.unsent_bytes += len(item)
        self._unsent.append(item)
        self._fill()

    @property
    def is_reset(self) -> bool:
        """Whether a reset has arrived behind bytes that nobody has read."""
        return Mark.RST in self._unread

    def purge(self) -> None:
        """Forget what has not left yet."""
        self._unsent.clear()
        self.unsent_bytes = 0

    def discard(self) -> None:
        """Forget everything: one end is gone."""
        self.purge()
        self._in_flight.clear()
        self._unread.clear()
        self._outstanding_bytes = self.unread_bytes = 0

    def pump(self) -> None:
        """Give the receiver what has arrived, as long as it takes it."""
        while self._unread and self._receiver.takes():
            item = self._unread.popleft()
            if isinstance(item, bytes):
                self.unread_bytes -= len(item)
                self._outstanding_bytes -= len(item)
            self._receiver.arrived(item)
        if self._unsent:
            self._fill()

    def go_on(self) -> None:
        """The way may be free again: what was held up is sent once more."""
        if self.held or self._is_cut():
            return
        self._waits_since = None
        if self._in_flight:
            self._last_arrival = self._loop.time()
            stuck, self._in_flight = self._in_flight, deque()
            for _, item in stuck:
                self._launch(item)

    def _fill(self) -> None:
        """Send what the window lets through."""
        room = False
        conditions = self._conditions
        while self._unsent and (left := conditions.window_bytes - self._outstanding_bytes) > 0:
            item = self._unsent.popleft()
            if isinstance(item, bytes):
                if conditions.split or len(item) > left or len(item) > _SEGMENT_BYTES:
                    item = self._cut_to_size(item)
                self.unsent_bytes -= len(item)
                self._outstanding_bytes += len(item)
                self._loop.trace.note_bytes(self._name, item)
            else:
                self._loop.trace.note((self._name, item.value))
            self._launch(item)
            room = True
        if room:
            self._sender.room()

    def _cut_to_size(self, data: bytes) -> bytes:
        size = min(_SEGMENT_BYTES, self._conditions.window_bytes - self._outstanding_bytes)
        if self._conditions.split and len(data) > 1 and self._rng.random() < self._conditions.split:
            size = min(size, self._rng.randrange(1, len(data)))
        if len(data) <= size:
            return data
        self._unsent.appendleft(data[size:])
        return data[:size]

    def _launch(self, item: Item) -> None:
        now = self._loop.time()
        leaves = now
        if self._conditions.bytes_per_s is not None and isinstance(item, bytes):
            leaves = self._free_at = max(now, self._free_at) + len(item) / self._conditions.bytes_per_s
        arrives = max(self._last_arrival, leaves + self._conditions.latency(self._rng))
        self._last_arrival = arrives
        self._in_flight.append((arrives, item))
        self._loop.call_at(arrives, self._arrive, context=self._receiver.context)
        if (self.held or self._is_cut()) and self._waits_since is None:
            self._wait()

    def _arrive(self) -> None:
        """The oldest ones whose time has come. Each has a timer, and none relies on which of them it is."""
        if self.held or self._is_cut():
            if self._in_flight and self._waits_since is None:
                self._wait()
            return
        now = self._loop.time()
        while self._in_flight and self._in_flight[0][0] <= now:
            item = self._in_flight.popleft()[1]
            if isinstance(item, bytes):
                self.unread_bytes += len(item)
            self._unread.append(item)
        self.pump()

    def _wait(self) -> None:
        since = self._waits_since = self._loop.time()
        self._loop.call_later(self._conditions.give_up_s, self._lose_patience, since)

    def _lose_patience(self, since: float) -> None:
        if self._waits_since == since and self._in_flight and (self.held or self._is_cut()):
            self._sender.break_off(TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)))
