"""A bad connection: what goes wrong with the bytes between driver and NAS, on any transport of asyncio.

`linked(protocol class, link)` makes a class of connections whose transport is wrapped: the real socket stays, and a FIN
or a reset really happens on it. While no rule is for the link, bytes go straight through. Below it is TCP; under TLS it
works on what TLS carries, so that a corrupted byte arrives.

Order within a direction is kept, whatever is delayed, as TCP keeps it; the end of the stream, and the loss of the
connection, come behind the bytes that were sent before them.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, cast

from csisim.faults.lane import Lane
from csisim.faults.matching import RuleState
from csisim.faults.plane import FaultPlane, Firing

_HIGH_WATER_BYTES: Final = 1 << 20


class Link:
    """One way to the NAS, over all connections that it sees in its life.

    Args:
        plane: decides, for each chunk of bytes.
        close: ends the connections with a websocket close code; None where the NAS is not ours.
    """

    def __init__(self, plane: FaultPlane, close: Callable[[int], None] | None = None) -> None:
        self.plane = plane
        self._close = close
        self._lines: dict[Line, None] = {}
        plane.on_change("link", self.heal)

    def open(self, line: "Line") -> None:
        """A connection has begun."""
        self._lines[line] = None

    def closed(self, line: "Line") -> None:
        """A connection has ended."""
        self._lines.pop(line, None)

    def heal(self, gone: RuleState | None = None) -> None:
        """What a rule held up goes on, as after a cable was plugged in again; None: whatever any rule held up."""
        for line in tuple(self._lines):
            line.up.heal(gone)
            line.down.heal(gone)

    def reset(self) -> int:
        """Reset every connection now; gives how many there were."""
        lines = tuple(self._lines)
        for line in lines:
            line.reset()
        return len(lines)

    def drop(self) -> None:
        """End all connections at once, as the end of the process does."""
        for line in tuple(self._lines):
            line.abort()

    def close_with(self, code: int) -> None:
        """Have the NAS say goodbye."""
        if self._close is not None:
            self._close(code)


class Line:
    """One connection: two lanes and the transport below them.

    Args:
        link: what it belongs to.
        transport: the real one.
        receive: takes bytes for the protocol.
        lost: tells the protocol that the connection is gone.

    Attributes:
        transport: as given.
        closing: whether this side ends it.
        paused: whether the protocol takes no bytes now.
    """

    def __init__(
        self,
        link: Link,
        transport: asyncio.Transport,
        receive: Callable[[bytes], None],
        lost: Callable[[Exception | None], None],
    ) -> None:
        self._link = link
        self._lost = lost
        self._is_lost = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._reads = True
        self.paused = False
        self.transport = transport
        self.closing = False
        self.up = Lane(link.plane, "link.up", self, transport.write)
        self.down = Lane(link.plane, "link.down", self, receive)
        link.open(self)

    def cut(self, firing: Firing, lane: Lane) -> None:
        """Disconnect as the rule says, at once or in its time; until then nothing gets through."""
        match firing.action.word:
            case "half":
                lane.hold(firing)
            case "blackhole":
                self.up.hold(firing)
                self.down.hold(firing)
            case "fin":
                self._in_time(firing, lane, lambda: lane.then(self.transport.close))
            case "rst":
                self._in_time(firing, lane, self.reset)
            case _:
                code = firing.action.number or 1011
                self._in_time(firing, lane, lambda: self._link.close_with(code))

    def _in_time(self, firing: Firing, lane: Lane, act: Callable[[], None]) -> None:
        if firing.action.seconds:
            lane.hold(firing, act)
        else:
            act()

    def reset(self) -> None:
        """Cut at once; both ends get a reset."""
        kernel = self.transport.get_extra_info("socket")
        if kernel is not None and kernel.family in {socket.AF_INET, socket.AF_INET6}:
            kernel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._error = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self.transport.abort()

    def close(self) -> None:
        """End it from this side: nothing is received any more, and what is held up on its way out still leaves."""
        if self.closing:
            return
        self.closing = True
        self.down.clear()
        self.flow()
        if self._is_lost:
            self._loop.call_soon(self._end, None)
        else:
            self.up.end(self.transport.close)

    def abort(self) -> None:
        """End it from this side, at once."""
        self.closing = True
        if self._is_lost:
            self._loop.call_soon(self._end, None)
        self.transport.abort()

    def send_eof(self) -> None:
        """Send the end of the stream, behind what is held up."""
        self.up.end(self._write_eof)

    def lost(self, error: Exception | None) -> None:
        """The real connection is gone. The protocol hears it behind the bytes that came before."""
        self._is_lost = True
        self.up.clear()
        self._error = self._error or error
        if self.closing or self._error is not error:
            self._end(self._error)
        else:
            self.down.then(lambda: self._end(error))

    def pause(self, wanted: bool) -> None:
        """The protocol wants no bytes for now, or wants them again."""
        self.paused = wanted
        self.flow()
        if not wanted:
            self.down.run()

    def flow(self) -> None:
        """Stop reading from the peer while much is held up, as a full receive window does."""
        reads = not (self.paused or self.closing or self.down.held_bytes > _HIGH_WATER_BYTES)
        if reads is self._reads or self.transport.is_closing():
            return
        self._reads = reads
        if reads:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _write_eof(self) -> None:
        if not self.transport.is_closing() and self.transport.can_write_eof():
            with suppress(OSError):  # the peer is gone, and the loss of the connection will tell
                self.transport.write_eof()

    def _end(self, error: Exception | None) -> None:
        self._link.closed(self)
        self.up.clear()
        self.down.clear()
        lost, self._lost = self._lost, _nothing
        lost(error)


def _nothing(_error: Exception | None) -> None:
    """What is told once is not told again."""


class LinkedTransport(asyncio.Transport):
    """The transport that a connection sees: writes go through the lane."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        for name in _SAME:
            setattr(self, name, getattr(line.transport, name))

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send bytes, some time."""
        if data and not self.is_closing():
            self._line.up.put(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        """Send several pieces."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send the end of the stream once what is held up has left."""
        self._line.send_eof()

    def close(self) -> None:
        """End the connection once what is held up has left."""
        self._line.close()

    def abort(self) -> None:
        """End the connection now."""
        self._line.abort()

    def is_closing(self) -> bool:
        """Whether it is ended, or about to be."""
        return self._line.closing or self._line.transport.is_closing()

    def pause_reading(self) -> None:
        """Take no more bytes."""
        self._line.pause(True)

    def resume_reading(self) -> None:
        """Take bytes again."""
        self._line.pause(False)

    def is_reading(self) -> bool:
        """Whether bytes are taken."""
        return not self._line.paused and not self.is_closing()

    def get_write_buffer_size(self) -> int:
        """What is held up counts as not written."""
        return self._line.transport.get_write_buffer_size() + self._line.up.held_bytes


_SAME: Final = (
    "can_write_eof", "get_extra_info", "get_protocol", "get_write_buffer_limits", "set_protocol",
    "set_write_buffer_limits",
)  # fmt: skip
"""What the real transport answers."""


def linked(base: type[Any], link: Link) -> type[Any]:
    """A subclass of a connection's protocol class whose bytes go over the link."""

    class Linked(base):  # type: ignore[misc] # given at run time
        _line: Line

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._line = Line(
                link, cast("asyncio.Transport", transport), super().data_received, super().connection_lost
            )
            super().connection_made(LinkedTransport(self._line))

        def data_received(self, data: bytes) -> None:
            self._line.down.put(bytes(data))

        def eof_received(self) -> bool:
            self._line.down.end(self._end_of_stream)
            # A transport over TLS closes itself whatever is said here, and complains about "yes".
            return self._line.transport.get_extra_info("sslcontext") is None

        def connection_lost(self, exc: Exception | None) -> None:
            self._line.lost(exc)

        def _end_of_stream(self) -> None:
            if not super().eof_received():
                self._line.close()

    return Linked
