"""The NAS on a port: closing it, dropping its connections, and where it says that it is."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from fake_truenas import Call, Nas, Proceed
from fake_truenas.server import Server
from tests.fake_truenas.rpc import make_nas
from tests.fake_truenas.transport import serving


async def test_dropping_connections_cuts_every_socket_without_a_close_frame(server: Server, dial: Any) -> None:
    clients = [await dial(), await dial(login=False)]
    await server.drop_connections()
    for client in clients:
        await client.socket.wait_closed()
        assert client.socket.close_code == 1006
    again = await dial()
    assert await again.call("core.ping") == "pong"
    await server.drop_connections(1001)
    await again.socket.wait_closed()
    assert again.socket.close_code == 1001


async def test_closing_the_server_does_not_wait_for_a_parked_call() -> None:
    nas = make_nas()
    parked = asyncio.Event()

    async def park(call: Call, proceed: Proceed) -> Any:
        parked.set()
        await asyncio.Event().wait()

    server = await nas.serve("127.0.0.1", 0)
    async with connect(server.url, proxy=None) as ws:
        nas.intercept = park
        await ws.send('{"jsonrpc":"2.0","id":1,"method":"core.ping"}')
        await parked.wait()
        await server.close()
        with pytest.raises(ConnectionClosed):
            await ws.recv()
    await server.close()
    nas.close()
    nas.close()


async def test_a_call_that_has_outlived_its_connection_ends_with_the_server() -> None:
    nas = make_nas()
    parked, ended = asyncio.Event(), asyncio.Event()

    async def park(call: Call, proceed: Proceed) -> Any:
        parked.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = await nas.serve("127.0.0.1", 0)
    nas.intercept = park
    async with connect(server.url, proxy=None) as ws:
        await ws.send('{"jsonrpc":"2.0","id":1,"method":"core.ping"}')
        await parked.wait()
        ws.transport.abort()
        await ws.wait_closed()
    while nas.sessions:
        await asyncio.sleep(0)
    assert not ended.is_set()
    await server.close()
    assert ended.is_set()
    nas.close()


async def test_a_port_in_use_is_an_os_error(server: Server, nas: Nas) -> None:
    with pytest.raises(OSError, match="in use"):
        await nas.serve("127.0.0.1", server.port)


async def test_the_address_names_scheme_host_and_the_path_of_the_release(nas: Nas) -> None:
    async with serving(version="24.10") as (_, old):
        assert old.url == f"ws://127.0.0.1:{old.port}/websocket"
    server = await nas.serve("::1", 0)
    assert server.url == f"ws://[::1]:{server.port}/api/current"
    await server.close()


async def test_one_nas_serves_many_ports_and_they_end_one_by_one(nas: Nas, server: Server) -> None:
    other = await nas.serve("127.0.0.1", 0)
    assert nas.servers == [server, other]
    async with connect(server.url, proxy=None) as first, connect(other.url, proxy=None) as second:
        await asyncio.gather(first.ping(), second.ping())
        await other.close()
        await second.wait_closed()
        assert (first.close_code, second.close_code) == (None, 1001)
