"""Cutting a caller's connection below a gRPC server, which offers no way to do so (Linux).

The server's own descriptors are found under /proc/self/fd. A FIN is sent by `shutdown`, a reset by dissolving the
connection (`connect` to no address); the server notices both by itself. For silence another socket takes the place of
the real one (dup2), so that the server goes on with that one while nothing is read from or written to the real one.
It costs nothing until it is used.

A caller on TCP is found by its address. Unix sockets have no address to tell callers apart: there all connections of
the served path are cut, as when the plugin's process dies. A Unix socket knows no reset either: its caller sees the
end of the stream.
"""

import asyncio
import ctypes
import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from csisim.faults.matching import RuleState

_DESCRIPTORS = Path("/proc/self/fd")
_CHUNK = 65536
_NO_ADDRESS = bytes(16)


class Callers(Protocol):
    """The callers of one served address, whatever they call over.

    Attributes:
        port: that is served over TCP, once it is known.
    """

    port: int

    def disconnect(self, peer: str, how: str) -> int:
        """Cut a caller off by fin, rst or blackhole; gives how many connections were cut."""

    def disconnect_all(self) -> int:
        """End the connections of all callers at once, as the end of the process does; gives how many."""

    def heal(self, gone: RuleState | None = None) -> None:
        """End the connections that are silent, unless the rule that has gone disconnects nothing."""


class Peers:
    """The callers of one served address on real sockets.

    Args:
        path: of the Unix socket that is served, "" for TCP.
        port: that is served over TCP, 0 for a Unix socket.

    Attributes:
        port: as given; may be set once it is known.
    """

    def __init__(self, path: str = "", port: int = 0) -> None:
        self._path = path
        self.port = port
        self._silent: list[_Silent] = []

    def disconnect(self, peer: str, how: str) -> int:
        """Cut a caller off; gives how many connections were cut.

        Args:
            peer: as gRPC names it: `ipv4:127.0.0.1:5000`, `ipv6:[::1]:5000`, or `unix:`.
            how: fin, rst, or blackhole (nothing is read or answered any more).
        """
        return self._cut(lambda found: self._is_caller(found, peer), how)

    def disconnect_all(self) -> int:
        """End the connections of all callers at once, as the end of the process does; gives how many."""
        self.heal()
        return self._cut(self._is_served, "fin")

    def heal(self, gone: RuleState | None = None) -> None:
        """Callers that were kept in silence are cut off: what they sent meanwhile is lost.

        Args:
            gone: the rule that has gone; only one that disconnects heals anything.
        """
        if gone is None or gone.does("disconnect"):
            for silent in self._silent:
                silent.end()
            self._silent.clear()

    def _cut(self, chosen: Callable[[socket.socket], bool], how: str) -> int:
        cut = 0
        for descriptor in _descriptors():
            with _borrowed(descriptor) as found:
                if found is None or not _holds(chosen, found):
                    continue
                cut += 1
                if how == "blackhole":
                    self._silent.append(_Silent(descriptor, found))
                elif how == "rst" and found.family != socket.AF_UNIX:
                    _reset(found)
                else:
                    with suppress(OSError):
                        found.shutdown(socket.SHUT_RDWR)
        return cut

    def _is_served(self, found: socket.socket) -> bool:
        found.getpeername()  # OSError for a listening socket
        name = found.getsockname()
        if found.family == socket.AF_UNIX:
            return _same_path(name, self._path)
        return bool(self.port) and name[1] == self.port

    def _is_caller(self, found: socket.socket, peer: str) -> bool:
        if found.family == socket.AF_UNIX:
            return peer.startswith("unix") and self._is_served(found)
        host, port = found.getpeername()[:2]
        return peer in {f"ipv4:{host}:{port}", f"ipv6:[{host}]:{port}", f"ipv6:%5B{host}%5D:{port}",
                        f"ipv4:{host.removeprefix('::ffff:')}:{port}"}  # fmt: skip


class _Silent:
    """A connection that is open, and on which nothing happens any more.

    Args:
        descriptor: the server's.
        real: the connection; a duplicate is kept.
    """

    def __init__(self, descriptor: int, real: socket.socket) -> None:
        self._descriptor = descriptor
        self._real = real.dup()
        inside, self._outside = socket.socketpair()
        self._inside = os.fstat(inside.fileno())
        os.dup2(inside.fileno(), descriptor, inheritable=False)
        inside.close()
        self._loop = asyncio.get_running_loop()
        self._outside.setblocking(False)
        # What the server says is swallowed, so that it does not notice.
        self._loop.add_reader(self._outside.fileno(), self._swallow)

    def end(self) -> None:
        """Give the server its connection back, and end that, so that it notices."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self._inside):
                os.dup2(self._real.fileno(), self._descriptor, inheritable=False)
        with suppress(OSError):
            self._real.shutdown(socket.SHUT_RDWR)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._outside.fileno())
        self._real.close()
        self._outside.close()

    def _swallow(self) -> None:
        with suppress(BlockingIOError):
            try:
                gone = not self._outside.recv(_CHUNK)
            except ConnectionError:
                gone = True
            if gone:
                self._loop.remove_reader(self._outside.fileno())


def _descriptors() -> list[int]:
    return sorted(int(name) for name in os.listdir(_DESCRIPTORS))  # noqa: PTH208 - numbers, not paths


@contextmanager
def _borrowed(descriptor: int) -> "Iterator[socket.socket | None]":
    """A duplicate of a descriptor as a socket; None where it is no stream socket, or gone."""
    copy = -1
    with suppress(OSError):
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            copy = os.dup(descriptor)
    if copy < 0:
        yield None
        return
    with socket.socket(fileno=copy) as found:
        yield found if found.type == socket.SOCK_STREAM else None


def _holds(chosen: Callable[[socket.socket], bool], found: socket.socket) -> bool:
    try:
        return chosen(found)
    except OSError:  # not connected, or gone in the meantime
        return False


def _reset(found: socket.socket) -> None:
    """Have the kernel send a reset. Python's own `connect` takes no address of no family."""
    ctypes.CDLL(None, use_errno=True).connect(found.fileno(), _NO_ADDRESS, len(_NO_ADDRESS))


def _same_path(name: "str | bytes", path: str) -> bool:
    # gRPC leaves the slashes of `unix://` in the name.
    return bool(path) and isinstance(name, str) and f"/{name.lstrip('/')}" == f"/{path.lstrip('/')}"
