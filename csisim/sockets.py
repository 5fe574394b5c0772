"""Unix sockets of real servers: a stale one is replaced, a live one never, and nobody else can connect."""

import asyncio
import errno
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import grpc

from csisim.endpoint import Endpoint

_TURN_TIMEOUT_S = 5.0
_TURN_POLL_S = 0.02


class EndpointError(Exception):
    """A server cannot listen where it was told to; the text says why and what to do."""


class Binding:
    """One bound address of a server; `release` takes the socket off the file system if it is still this one."""

    def __init__(self, endpoint: Endpoint, identity: tuple[int, int] | None) -> None:
        self.endpoint = endpoint
        self._identity = identity

    def release(self) -> None:
        """Remove the socket file. A file that replaced it in the meantime is left alone."""
        if self._identity is not None and _identity(self.endpoint.path) == self._identity:
            with suppress(FileNotFoundError):
                os.unlink(self.endpoint.path)  # noqa: PTH108 - beside os.stat on the same string
        self._identity = None


async def bind(server: grpc.aio.Server, endpoint: Endpoint) -> Binding:
    """Bind a server that is not started yet.

    A Unix socket has mode 0600 from the moment it exists, and its directory is created (0755) where it is missing.

    Raises:
        EndpointError: a live process answers there, the path is taken by something else, or it cannot be bound.
    """
    if not endpoint.is_unix:
        await _check_port(endpoint)
        return Binding(Endpoint(host=endpoint.host, port=_add_port(server, endpoint)), None)
    path = Path(endpoint.path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EndpointError(f"{endpoint}: cannot create {path.parent}: {error.strerror}") from error
    async with _turn(path.parent):
        await _make_way(endpoint)
        with _owner_only():
            _add_port(server, endpoint)
        return Binding(endpoint, _identity(endpoint.path))


async def _check_port(endpoint: Endpoint) -> None:
    """Refuse a port on which somebody answers: gRPC would share it, and each get some of the calls."""
    if not endpoint.port:
        return
    try:
        _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    except OSError:
        return
    await _hang_up(writer)
    raise EndpointError(f"{endpoint}: another process is listening there; stop it or choose another endpoint")


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _add_port(server: grpc.aio.Server, endpoint: Endpoint) -> int:
    try:
        port = server.add_insecure_port(endpoint.target)
    except RuntimeError as error:
        raise EndpointError(f"{endpoint}: cannot bind: {_reason(endpoint)}") from error
    if not port:
        raise EndpointError(f"{endpoint}: cannot bind: {_reason(endpoint)}")
    return int(port)


def _reason(endpoint: Endpoint) -> str:
    if not endpoint.is_unix:
        return "is the port in use?"
    parent = Path(endpoint.path).parent
    return "is the file system full?" if os.access(parent, os.W_OK) else f"{parent} is not writable"


async def _make_way(endpoint: Endpoint) -> None:
    """Remove a socket on which nobody listens any more."""
    path = endpoint.path
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise EndpointError(f"{endpoint}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise EndpointError(f"{endpoint}: exists and is not a socket; remove it or choose another path")
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except (ConnectionRefusedError, FileNotFoundError):
        with suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - as above
    except OSError as error:
        raise EndpointError(f"{endpoint}: cannot tell whether a process listens there: {error.strerror}") from error
    else:
        await _hang_up(writer)
        raise EndpointError(f"{endpoint}: another process is listening there; stop it or choose another endpoint")


@asynccontextmanager
async def _turn(directory: Path) -> AsyncIterator[None]:
    """Look and bind as one step among all processes that do so in this directory.

    The directory itself is locked: the specification allows no further file beside the socket.
    """
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise EndpointError(f"{directory}: {error.strerror}") from error
    try:
        loop = asyncio.get_running_loop()
        ends = loop.time() + _TURN_TIMEOUT_S
        while not _locked(handle):
            if loop.time() >= ends:
                raise EndpointError(f"{directory}: another process has been busy binding here for {_TURN_TIMEOUT_S} s")
            await asyncio.sleep(_TURN_POLL_S)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            return False
        raise
    return True


@contextmanager
def _owner_only() -> Iterator[None]:
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - beside os.lstat on the same string
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
