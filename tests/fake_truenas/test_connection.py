"""One connection: interception, what becomes of calls when it ends, and replies of any size."""

import asyncio
from typing import Any

import pytest

from fake_truenas import NO_REPLY, Call, Nas, Proceed
from fake_truenas.errors import CallError
from fake_truenas.server import Server
from tests.fake_truenas.rpc import Client


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


async def test_large_replies_arrive_whole_even_to_a_reader_that_is_slow(nas: Nas, client: Client) -> None:
    for number in range(300):
        nas.call_direct("pool.dataset.create", {"name": f"tank/big{number:03}"})
    futures = [await client.start("pool.dataset.query", [["id", "^", "tank/big"]]) for _ in range(8)]
    sizes = {len((await future)["result"]) for future in futures}
    assert sizes == {300}
