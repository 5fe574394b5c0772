import asyncio
import socket
import threading

import httpx
import pytest

from csisim.control.options import ControlOptions
from csisim.control.server import ControlServer


async def test_a_free_port_is_taken_and_told(server, connect):
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert (await (await connect(server)).get("/status")).status_code == 200


async def test_ipv6_is_served_too(serve, connect):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = await serve(host="::1")
    assert (await (await connect(server)).get("/status")).status_code == 200


async def test_an_address_that_is_taken_is_an_error_that_names_it(server, serve):
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{server.port}: Address already in use"):
        await serve(port=server.port)


async def test_after_the_end_nobody_listens_and_nothing_is_left(world, connect):
    before, threads = asyncio.all_tasks(), threading.active_count()
    async with ControlServer(world, ControlOptions()) as server:
        http = await connect(server)
        for path in ("/status", "/sites", "/metrics", "/docs", "/proxies", "/history"):
            assert (await http.get(path)).status_code == 200
        assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    assert asyncio.all_tasks() == before
    assert world.history._listeners == {}


async def test_a_request_that_runs_for_ever_does_not_hold_up_the_end(serve, world, connect, monkeypatch):
    monkeypatch.setattr("csisim.control.server._GRACE_S", 0.01)
    world.crashing = asyncio.Event()
    server = await serve()
    http = await connect(server)
    request = asyncio.create_task(http.post("/crash", json={"what": "nas"}))
    while not world.asked:
        await asyncio.sleep(0)
    await server.close()
    with pytest.raises(httpx.HTTPError):
        (await request).raise_for_status()


async def test_a_reader_that_takes_nothing_does_not_either(serve, world, monkeypatch):
    monkeypatch.setattr("csisim.control.server._GRACE_S", 0.01)
    server = await serve()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.transport.pause_reading()
    writer.write(b"GET /events/stream?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for _ in range(2000):
        world.history.add("info", "fault", "f" * 5000)
    while not any(each.transport.get_write_buffer_size() for each in server._state.connections):
        await asyncio.sleep(0)

    await server.close()

    for _ in range(3):
        await asyncio.sleep(0)
    assert server._state.connections == set()
    writer.close()


async def test_connections_that_ask_for_nothing_are_dropped(serve):
    server = await serve(read_timeout_s=0.02)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_there_are_only_so_many_connections(serve):
    server = await serve(max_connections=2)
    kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
    while len(server._state.connections) < 2:
        await asyncio.sleep(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    for _, each in [*kept, (reader, writer)]:
        each.close()
