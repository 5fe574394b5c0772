"""The transport of a simulated TCP connection, with the rules that asyncio's over a real socket has."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from csisim.sim.direction import Direction, Item, Mark

if TYPE_CHECKING:
    from csisim.sim.loop import SimLoop

_HIGH_WATER_BYTES = 64 << 10


class SimSocket:
    """What get_extra_info("socket") gives: addresses, and options, of which SO_LINGER has its effect."""

    def __init__(self, family: int, sockname: Any, peername: Any = None) -> None:
        self.family = family
        self.type = socket.SOCK_STREAM
        self.proto = socket.IPPROTO_TCP if family != socket.AF_UNIX else 0
        self.resets_on_close = False
        self._sockname = sockname
        self._peername = peername

    def getsockname(self) -> Any:
        """Its own address."""
        return self._sockname

    def getpeername(self) -> Any:
        """The other end's address."""
        if self._peername is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._peername

    def setsockopt(self, level: int, option: int, value: Any) -> None:
        """SO_LINGER with a time of 0 makes closing reset the connection; every other option changes nothing."""
        if level == socket.SOL_SOCKET and option == socket.SO_LINGER:
            on, seconds = struct.unpack("ii", value)
            self.resets_on_close = bool(on) and seconds == 0

    def fileno(self) -> int:
        """None that the system knows."""
        return -1


class SimTransport(asyncio.Transport):
    """One end.

    Args:
        loop: the simulated one.
        protocol: what bytes are given to.
        kernel: addresses and options.
        up: from here to the other end.
        down: from the other end to here.
        context: what the protocol is called in, so that nothing passes to it but bytes.
    """

    def __init__(
        self,
        loop: "SimLoop",
        protocol: asyncio.BaseProtocol,
        kernel: SimSocket,
        up: Direction,
        down: Direction,
        context: Context,
    ) -> None:
        super().__init__(
            {
                "socket": kernel,
                "sockname": kernel.getsockname(),
                "peername": kernel.getpeername(),
            }
        )
        self.context = context
        self._loop = loop
        self._protocol = protocol
        self._kernel = kernel
        self._up = up
        self._down = down
        self._high_bytes = _HIGH_WATER_BYTES
        self._low_bytes = _HIGH_WATER_BYTES // 4
        self._writing_paused = False
        self._reading_paused = False
        self._begun = False
        self._closing = False
        self._eof_written = False
        self._eof_seen = False
        self._says_fin = True  # when its socket is closed
        self._broken: OSError | None = None  # what the next write will be told
        self._lost = False  # its end is told, or will be at once
        self.gone = False  # its socket is closed, or its host is dead

    # Writing

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send bytes; after the connection is lost they go nowhere."""
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._lost or self.gone:
            return
        if self._broken is None and self._reading_paused and self._down.is_reset:
            self._broken = _reset_by_peer()
        if self._broken is not None:
            self.break_off(self._broken)
            return
        self._up.put(bytes(data))
        if self._up.unsent_bytes > self._high_bytes and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several pieces."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """End the stream in this direction."""
        if not (self._eof_written or self._closing):
            self._eof_written = True
            self._up.put(Mark.FIN)

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def get_write_buffer_size(self) -> int:
        """Bytes that the window does not let through yet."""
        return self._up.unsent_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Low and high water in bytes."""
        return self._low_bytes, self._high_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio."""
        if high is None:
            high = _HIGH_WATER_BYTES if low is None else 4 * low
        low = high // 4 if low is None else low
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high_bytes, self._low_bytes = high, low

    def room(self) -> None:
        """Some bytes have left."""
        if self._writing_paused and self._up.unsent_bytes <= self._low_bytes:
            self._writing_paused = False
            self._protocol.resume_writing()
        if self._closing and not self._up.unsent_bytes:
            self._lose(None)

    # Reading

    def takes(self) -> bool:
        """Whether what arrives is dealt with now: read, or answered with a reset because nobody is there."""
        return self.gone or (self._begun and not self._reading_paused and not self._closing)

    def arrived(self, item: Item) -> None:
        """In order, from the other end."""
        if self.gone:
            if isinstance(item, bytes):
                self._up.purge()
                self._up.put(Mark.RST)
        elif item is Mark.RST:
            self._reset_arrived()
        elif item is Mark.FIN:
            if not self._eof_seen:
                self._eof_seen = True
                if not self._protocol_of_streams().eof_received():
                    self.close()
        else:
            assert isinstance(item, bytes)  # noqa: S101 - there are two marks
            self._feed(item)

    def _reset_arrived(self) -> None:
        if self._eof_seen and not self._closing and not self._up.unsent_bytes:
            # asyncio reads no more after the end of the stream: only the next write finds out.
            self._broken = BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        else:
            self.break_off(_reset_by_peer())

    def _feed(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol_of_streams().data_received(data)
            return
        while data:
            room = memoryview(self._protocol.get_buffer(len(data))).cast("B")
            size = min(len(room), len(data))
            room[:size] = data[:size]
            self._protocol.buffer_updated(size)
            data = data[size:]

    def _protocol_of_streams(self) -> asyncio.Protocol:
        return self._protocol  # type: ignore[return-value] # buffered ones have eof_received too

    def pause_reading(self) -> None:
        """Leave bytes where they are; the window fills."""
        self._reading_paused = True

    def resume_reading(self) -> None:
        """Take them again."""
        if self._reading_paused and not self._closing:
            self._reading_paused = False
            self._loop.call_soon(self._down.pump, context=self.context)

    def is_reading(self) -> bool:
        """Whether bytes are taken."""
        return not self._reading_paused and not self._closing

    # Beginning and end

    def begin(self) -> None:
        """Tell the protocol that it is connected."""
        self._protocol.connection_made(self)
        self._begun = True
        self._loop.call_soon(self._down.pump, context=self.context)

    def is_closing(self) -> bool:
        """Whether it is ended, or about to be."""
        return self._closing

    def close(self) -> None:
        """End it once everything has left."""
        if not self._closing:
            self._closing = True
            if not self._up.unsent_bytes:
                self._lose(None)

    def abort(self) -> None:
        """End it now; what has not left never will."""
        self._closing = True
        self._up.purge()
        self._eof_written = False  # it may have been purged; a second one says nothing new
        self._lose(None)

    def break_off(self, error: OSError) -> None:
        """The connection is broken, as the kernel would tell it."""
        self._closing = True
        self._kernel.resets_on_close = False
        self._up.discard()
        self._says_fin = False
        self._lose(error)

    def vanish(self) -> None:
        """Its host has lost power: nobody is told anything."""
        self._closing = self._lost = self.gone = True
        self._up.discard()

    def get_protocol(self) -> asyncio.BaseProtocol:
        """What bytes are given to."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give bytes to another one."""
        self._protocol = protocol

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._tell, error, context=self.context)

    def _tell(self, error: Exception | None) -> None:
        if self.gone:
            return
        try:
            self._protocol.connection_lost(error)
        finally:
            self.gone = True
            # Unread bytes turn the end into a reset, as in any kernel.
            if self._kernel.resets_on_close or (self._down.unread_bytes and error is None):
                self._up.put(Mark.RST)
            elif self._says_fin and not self._eof_written:
                self._up.put(Mark.FIN)
            self._down.pump()


def _reset_by_peer() -> OSError:
    return ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
