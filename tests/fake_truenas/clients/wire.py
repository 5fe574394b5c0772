"""A websocket used as the libraries of other clients use it: every frame is made by the test, replies are matched by id."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from fake_truenas.server import Server
from tests.fake_truenas.clients.go_json import ANY, decode

Id = int | str
REPLY_TIMEOUT_S = 20.0


def integers() -> Iterator[Id]:
    """Ids of the Go clients that count per connection."""
    return itertools.count(1)


def decimals() -> Iterator[Id]:
    """Ids that count, but are sent as strings."""
    return (str(number) for number in itertools.count(1))


def always(_method: str) -> bool:
    """A call without parameters has no `params` (Go's omitempty on a slice)."""
    return True


def never(_method: str) -> bool:
    """`params` is always sent."""
    return False


def uuids(rng: Random) -> Iterator[Id]:
    """Ids of the Python client."""
    return (str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in itertools.count())


class Refused(Exception):
    """An error reply, with its parts as they came."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(orjson.dumps(error).decode())
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")

    @property
    def errname(self) -> str:
        """Name of the errno in the data; empty if there are no data."""
        return "" if self.data is None else str(self.data["errname"])

    @property
    def data_text(self) -> str:
        """The data as JSON text, which some clients search for words."""
        return "" if self.data is None else orjson.dumps(self.data).decode()


class CsiError(Exception):
    """What the driver of this client answers to its CO."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


async def code_of(attempt: Any) -> str:
    """The code that a driver answers an attempt with."""
    try:
        await attempt
    except CsiError as error:
        return error.code
    return "OK"


class Wire:
    """One connection.

    Attributes:
        sent: frames in the order in which they went out.
        methods: their methods.
        notifications: frames from the server without an id.
    """

    def __init__(self, socket: ClientConnection, ids: Iterator[Id], omits: Callable[[str], bool]) -> None:
        self.socket = socket
        self.sent: list[dict[str, Any]] = []
        self.notifications: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._ids = ids
        self._omits = omits
        self._pending: dict[tuple[type, Id], asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @property
    def methods(self) -> list[str]:
        return [frame["method"] for frame in self.sent]

    async def _read(self) -> None:
        async for text in self.socket:
            assert isinstance(text, str), "a binary frame"
            message = orjson.loads(text)
            assert message["jsonrpc"] == "2.0"
            if "id" not in message:
                self.notifications.put_nowait(message)
            else:
                assert ("result" in message) != ("error" in message), message
                self._pending.pop((type(message["id"]), message["id"])).set_result(message)

    async def start(self, method: str, *params: Any) -> "asyncio.Future[dict[str, Any]]":
        """Send a call; the future gives the reply, which must carry the id with the type it was sent with."""
        request_id = next(self._ids)
        frame: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "method": method}
        if params or not self._omits(method):
            frame["params"] = list(params)
        self.sent.append(frame)
        future = asyncio.get_running_loop().create_future()
        self._pending[type(request_id), request_id] = future
        await self.socket.send(orjson.dumps(frame).decode())
        return future

    async def call(self, method: str, *params: Any, into: Any = ANY) -> Any:
        """Call, and decode the result as the client's struct would be.

        Raises:
            Refused: an error reply.
            DecodeError: the result does not fit the struct.
        """
        async with asyncio.timeout(REPLY_TIMEOUT_S):
            reply = await (await self.start(method, *params))
        if "error" in reply:
            raise Refused(reply["error"])
        return decode(reply["result"], into, method)

    async def close(self) -> None:
        """End with a close frame (1000)."""
        await self.socket.close()
        await self._gone()

    async def drop(self) -> None:
        """End without a close frame."""
        self.socket.transport.abort()
        await self._gone()

    async def _gone(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


async def open_wire(server: Server, ids: Iterator[Id], omits: Callable[[str], bool], **options: Any) -> Wire:
    """Dial the server as a client does, with the headers and extensions in `options`."""
    socket = await connect(server.url, proxy=None, ping_interval=None, max_size=None, **options)
    return Wire(socket, ids, omits)
