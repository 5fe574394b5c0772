"""NAS fixtures on real sockets."""

import functools
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas
from fake_truenas.server import Server
from tests.fake_truenas.rpc import KEY, Client, make_nas


@pytest.fixture(scope="session", autouse=True)
def _keys_derived_once() -> Iterator[None]:
    """The tests use few passwords, and salts that repeat: each is stretched once, which takes tens of milliseconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashlib, "pbkdf2_hmac", functools.cache(hashlib.pbkdf2_hmac))
        yield


@pytest.fixture
def nas() -> Iterator[Nas]:
    nas = make_nas()
    yield nas
    nas.close()


@pytest.fixture
async def server(nas: Nas) -> AsyncIterator[Server]:
    server = await nas.serve("127.0.0.1", 0)
    yield server
    await server.close()


Dial = Callable[..., Any]


@pytest.fixture
async def dial(server: Server) -> AsyncIterator[Dial]:
    """Opens clients, logged in unless `login=False`; all are closed at the end."""
    clients: list[Client] = []

    async def open_client(*, login: bool = True) -> Client:
        client = Client(await connect(server.url, proxy=None, compression=None, ping_interval=None, max_size=None))
        clients.append(client)
        if login:
            assert await client.call("auth.login_with_api_key", KEY) is True
        return client

    yield open_client
    for client in clients:
        await client.close()


@pytest.fixture
async def client(dial: Dial) -> Client:
    opened = await dial()
    assert isinstance(opened, Client)
    return opened
