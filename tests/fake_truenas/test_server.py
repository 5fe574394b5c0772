"""The NAS on a real socket: framing, limits, ordering, interception, ends of connections."""

import asyncio
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fake_truenas import NO_REPLY, Call, Nas, Proceed
from fake_truenas.errors import CallError
from fake_truenas.server import Server
from tests.fake_truenas.rpc import Client, make_nas


async def test_versioned_paths_serve_the_same_protocol_and_others_are_404(server: Server) -> None:
    base = server.url.removesuffix("/api/current")
    async with connect(f"{base}/api/v25.10.5", proxy=None) as ws:
        await ws.send('{"jsonrpc":"2.0","id":"a","method":"core.ping"}')
        assert orjson.loads(await ws.recv()) == {"jsonrpc": "2.0", "result": "pong", "id": "a"}
    for path in ("/api/v1.0", "/api", "/", "/websocket2"):
        with pytest.raises(InvalidStatus) as caught:
            await connect(base + path, proxy=None)
        assert caught.value.response.status_code == 404


async def test_versions_and_boot_id_are_plain_http(server: Server, nas: Nas) -> None:
    async def get(path: str) -> Any:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: nas\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 200 ")
        return orjson.loads(body)

    assert "v25.10.5" in await get("/api/versions")
    assert await get("/api/boot_id") == nas.boot_id


@pytest.mark.parametrize(
    ("text", "code", "request_id"),
    [
        ("no json", -32700, None),
        ('[{"jsonrpc":"2.0","id":1,"method":"core.ping"}]', -32700, None),
        ("7", -32700, None),
        ('{"jsonrpc":"1.0","id":1,"method":"core.ping"}', -32600, 1),
        ('{"jsonrpc":"2.0","id":1.5,"method":"core.ping"}', -32600, None),
        ('{"jsonrpc":"2.0","id":"x","method":""}', -32600, "x"),
        ('{"jsonrpc":"2.0","id":2,"method":"core.ping","params":null}', -32600, 2),
        ('{"jsonrpc":"2.0","id":2,"method":"core.ping","params":{}}', -32600, 2),
        ('{"jsonrpc":"2.0","id":3,"method":"no.such"}', -32601, 3),
    ],
)
async def test_malformed_requests_are_answered_and_the_connection_stays(
    server: Server, text: str, code: int, request_id: Any
) -> None:
    async with connect(server.url, proxy=None) as ws:
        await ws.send(text)
        reply = orjson.loads(await ws.recv())
        assert (reply["error"]["code"], reply["id"], "data" in reply["error"]) == (code, request_id, False)
        await ws.send('{"jsonrpc":"2.0","id":null,"method":"core.ping"}')
        assert orjson.loads(await ws.recv()) == {"jsonrpc": "2.0", "result": "pong", "id": None}


async def test_notifications_are_executed_and_never_answered(client: Client, nas: Nas) -> None:
    await client.socket.send('{"jsonrpc":"2.0","method":"pool.dataset.create","params":[{"name":"tank/quiet"}]}')
    await client.socket.send('{"jsonrpc":"2.0","method":"no.such"}')
    await client.socket.send('{"jsonrpc":"1.0","method":"core.ping"}')
    assert await client.call("core.ping") == "pong"
    assert nas.call_direct("pool.dataset.query", [["id", "=", "tank/quiet"]], {"count": True}) == 1


@pytest.mark.parametrize(
    ("login", "message", "code"),
    [(False, "x" * 8193, 1007), (True, "x" * 65537, 1009), (False, b"binary", 1003), (True, b"binary", 1003)],
)
async def test_too_long_and_binary_messages_close_the_connection(
    dial: Any, login: bool, message: Any, code: int
) -> None:
    client = await dial(login=login)
    await client.socket.send(message)
    await client.socket.wait_closed()
    assert client.socket.close_code == code


@pytest.mark.parametrize(("login", "length"), [(False, 8192), (True, 65536)])
async def test_the_longest_message_is_served(dial: Any, login: bool, length: int) -> None:
    client = await dial(login=login)
    text = '{"jsonrpc":"2.0","id":0,"method":"core.ping","more":"' + "ä" * (length - 55) + '"}'
    assert len(text) == length
    future = client._pending[0] = asyncio.get_running_loop().create_future()
    await client.socket.send(text)
    assert (await future)["result"] == "pong"


async def test_ten_calls_run_ten_wait_and_the_next_is_refused(nas: Nas, client: Client) -> None:
    gate, begun = asyncio.Event(), 0

    async def hold(call: Call, proceed: Proceed) -> Any:
        nonlocal begun
        begun += 1
        await gate.wait()
        return await proceed()

    nas.intercept = hold
    held = [await client.start("core.ping") for _ in range(20)]
    refused = await client.start("core.ping")
    error = (await refused)["error"]
    assert error == {"code": -32000, "message": "Maximum number of concurrent calls (20) has exceeded"}
    assert begun == 10
    gate.set()
    assert [(await future)["result"] for future in held] == ["pong"] * 20
    assert await client.call("core.ping") == "pong"


async def test_replies_leave_in_the_order_of_completion(nas: Nas, client: Client) -> None:
    gate = asyncio.Event()
    order: list[str] = []

    async def slow_first(call: Call, proceed: Proceed) -> Any:
        if call.params == ["slow"]:
            await gate.wait()
        return await proceed()

    nas.intercept = slow_first
    slow = await client.start("core.unsubscribe", "slow")
    slow.add_done_callback(lambda _: order.append("slow"))
    await client.call("core.unsubscribe", "fast")
    order.append("fast")
    gate.set()
    await slow
    assert order == ["fast", "slow"]


async def test_calls_still_waiting_when_the_client_leaves_never_start_and_running_ones_complete(
    nas: Nas, dial: Any
) -> None:
    gate, seen = asyncio.Event(), []
    done = asyncio.Event()

    async def hold(call: Call, proceed: Proceed) -> Any:
        if call.method != "pool.dataset.create":
            return await proceed()
        seen.append(call.params[0]["name"])
        await gate.wait()
        result = await proceed()
        if len(seen) == 10 and call.params[0]["name"] == seen[-1]:
            done.set()
        return result

    client = await dial()
    nas.intercept = hold
    for number in range(15):
        await client.start("pool.dataset.create", {"name": f"tank/n{number:02}"})
    while len(seen) < 10:
        await asyncio.sleep(0)
    client.socket.transport.abort()
    while nas.sessions:
        await asyncio.sleep(0)
    gate.set()
    await done.wait()
    names = nas.call_direct("pool.dataset.query", [["id", "^", "tank/n"]], {"select": ["id"]})
    assert [row["id"] for row in names] == [f"tank/n{number:02}" for number in range(10)]


async def test_an_interceptor_can_refuse_before_and_after_the_effect(nas: Nas, client: Client) -> None:
    async def refuse(call: Call, proceed: Proceed) -> Any:
        if call.method != "pool.dataset.create":
            return await proceed()
        if call.params[0]["name"].endswith("after"):
            await proceed()
        raise CallError("injected", 5)

    nas.intercept = refuse
    for name in ("tank/before", "tank/after"):
        error = await client.refused("pool.dataset.create", {"name": name})
        assert (error.code, error.data["error"], error.reason) == (-32001, 5, "[EIO] injected")
    found = await client.call("pool.dataset.query", [["id", "^", "tank/"]], {"select": ["id"]})
    assert found == [{"id": "tank/after"}]


async def test_an_interceptor_can_drop_the_reply_and_the_slot_is_free_again(nas: Nas, client: Client) -> None:
    async def drop(call: Call, proceed: Proceed) -> Any:
        result = await proceed()
        return NO_REPLY if call.method == "pool.dataset.create" else result

    nas.intercept = drop
    lost = []
    for number in range(25):  # more than there are slots
        lost.append(await client.start("pool.dataset.create", {"name": f"tank/d{number}"}))
        assert await client.call("core.ping") == "pong"
    assert await client.call("pool.dataset.query", [["id", "^", "tank/d"]], {"count": True}) == 25
    assert not any(future.done() for future in lost)


async def test_an_interceptor_can_cut_the_connection_after_the_effect(nas: Nas, dial: Any) -> None:
    async def cut(call: Call, proceed: Proceed) -> Any:
        result = await proceed()
        if call.method == "pool.dataset.create":
            call.connection.abort()
        return result

    client = await dial()
    nas.intercept = cut
    await client.start("pool.dataset.create", {"name": "tank/cut"})
    await client.socket.wait_closed()
    assert client.socket.close_code == 1006
    assert nas.call_direct("pool.dataset.get_instance", "tank/cut")["id"] == "tank/cut"


async def test_a_reply_that_is_due_when_the_client_says_goodbye_is_dropped_quietly(
    nas: Nas, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate, finished = asyncio.Event(), asyncio.Event()

    async def hold(call: Call, proceed: Proceed) -> Any:
        await gate.wait()
        finished.set()
        return await proceed()

    client = await dial()
    nas.intercept = hold
    await client.start("core.ping")
    await client.start("no.such")
    await client.socket.close()
    gate.set()
    await finished.wait()
    while nas.sessions:
        await asyncio.sleep(0)
    assert caplog.text == ""


async def test_a_reply_written_during_the_closing_handshake_is_dropped_quietly(
    nas: Nas, server: Server, dial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    gate = asyncio.Event()

    async def hold(call: Call, proceed: Proceed) -> Any:
        await gate.wait()
        return await proceed()

    client = await dial()
    nas.intercept = hold
    await client.start("core.ping")
    (connection,) = server._connections
    while not connection._tasks:
        await asyncio.sleep(0)
    (task,) = connection._tasks
    connection._socket.protocol.send_close(1001, "")
    gate.set()
    await task
    assert task.exception() is None
    assert caplog.text == ""


async def test_a_defect_in_a_method_is_answered_as_einval_with_its_text(
    nas: Nas, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(call: Call, proceed: Proceed) -> Any:
        raise ZeroDivisionError("division by zero")

    nas.intercept = fail
    error = await client.refused("core.ping")
    assert (error.code, error.data["error"], error.data["errname"], error.reason) == (
        -32001, 22, "EINVAL", "division by zero",
    )  # fmt: skip
    assert "core.ping failed unexpectedly" in caplog.text


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


async def test_a_port_in_use_is_an_os_error(server: Server, nas: Nas) -> None:
    with pytest.raises(OSError, match="in use"):
        await nas.serve("127.0.0.1", server.port)


async def test_large_replies_arrive_whole_even_to_a_reader_that_is_slow(nas: Nas, client: Client) -> None:
    for number in range(300):
        nas.call_direct("pool.dataset.create", {"name": f"tank/big{number:03}"})
    futures = [await client.start("pool.dataset.query", [["id", "^", "tank/big"]]) for _ in range(8)]
    sizes = {len((await future)["result"]) for future in futures}
    assert sizes == {300}
