"""Section 2 of the contract: JSON-RPC framing, order, concurrency, and the errors of the protocol."""

import asyncio
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from fake_truenas import Call, Nas, Proceed
from fake_truenas.errors import ApiError
from fake_truenas.server import Server
from tests.fake_truenas.rpc import KEY, Client

BATCH = '[{"jsonrpc":"2.0","id":1,"method":"core.ping"}]'


async def replies(server: Server, *texts: str) -> list[Any]:
    """What each text is answered on one connection that stays open to the end; None where nothing is."""
    found: list[Any] = []
    async with connect(server.url, proxy=None) as ws:
        for text in texts:
            await ws.send(text)
            await ws.send('{"jsonrpc":"2.0","id":"end","method":"core.ping"}')
            got = [orjson.loads(await ws.recv())]
            if got[0]["id"] != "end":
                got.append(orjson.loads(await ws.recv()))
            assert got[-1] == {"jsonrpc": "2.0", "result": "pong", "id": "end"}
            found.append(got[0] if len(got) == 2 else None)
    return found


@pytest.mark.row("2 not JSON", "2.1 protocol errors")
async def test_what_is_not_json_is_a_parse_error_without_an_id(server: Server) -> None:
    for reply in await replies(server, "no json", "", '{"jsonrpc":', "{'a': 1}", '{"id": NaN}', "\0"):
        assert reply.pop("jsonrpc") == "2.0"
        assert (reply["error"].pop("message") != "", reply) == (True, {"error": {"code": -32700}, "id": None})


@pytest.mark.row("2 JSON array")
async def test_batches_are_not_supported(server: Server) -> None:
    error = {"code": -32700, "message": "Batch messages are not supported at this time"}
    expected = {"jsonrpc": "2.0", "error": error, "id": None}
    assert await replies(server, BATCH, "[]", "[7]") == [expected] * 3


@pytest.mark.row("2 JSON but not object")
async def test_json_that_is_no_object_is_an_invalid_format(server: Server) -> None:
    expected = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Invalid Message Format"}, "id": None}
    assert await replies(server, "7", '"text"', "null", "true", "1.5") == [expected] * 5


@pytest.mark.row("2 wrong members", "2.1 protocol errors")
@pytest.mark.parametrize(
    ("members", "reply_id"),
    [
        ('"jsonrpc":"1.0","id":1,"method":"core.ping"', 1),
        ('"jsonrpc":2.0,"id":1,"method":"core.ping"', 1),
        ('"id":1,"method":"core.ping"', 1),
        ('"jsonrpc":"2.0","id":1.5,"method":"core.ping"', None),
        ('"jsonrpc":"2.0","id":true,"method":"core.ping"', None),
        ('"jsonrpc":"2.0","id":[1],"method":"core.ping"', None),
        ('"jsonrpc":"2.0","id":{},"method":"core.ping"', None),
        ('"jsonrpc":"2.0","id":"x","method":""', "x"),
        ('"jsonrpc":"2.0","id":"x","method":7', "x"),
        ('"jsonrpc":"2.0","id":"x","method":null', "x"),
        ('"jsonrpc":"2.0","id":"x"', "x"),
        ('"jsonrpc":"2.0","id":2,"method":"core.ping","params":null', 2),
        ('"jsonrpc":"2.0","id":2,"method":"core.ping","params":"x"', 2),
        ('"jsonrpc":"2.0","id":null,"method":"core.ping","params":7', None),
    ],
)
async def test_a_wrong_member_is_an_invalid_request_if_there_is_an_id(
    server: Server, members: str, reply_id: Any
) -> None:
    without_id = ",".join(part for part in members.split(",") if not part.startswith('"id"'))
    # Where the id itself is wrong, the rest is right and would be a notification.
    (reply, silence) = await replies(server, "{" + members + "}", "{" + without_id + "}")
    assert (reply["jsonrpc"], reply["id"], reply["error"]["code"]) == ("2.0", reply_id, -32600)
    assert sorted(reply["error"]) == ["code", "message"]
    assert silence is None


@pytest.mark.row("2 params absent")
async def test_absent_params_are_no_params(server: Server) -> None:
    (absent, empty) = await replies(
        server,
        '{"jsonrpc":"2.0","id":1,"method":"core.ping"}',
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":[]}',
    )
    assert absent == empty == {"jsonrpc": "2.0", "result": "pong", "id": 1}


@pytest.mark.row("2 object params")
async def test_params_by_name_are_refused(server: Server) -> None:
    (empty, named) = await replies(
        server,
        '{"jsonrpc":"2.0","id":1,"method":"core.ping","params":{}}',
        '{"jsonrpc":"2.0","id":2,"method":"auth.login_with_api_key","params":{"api_key":"1-x"}}',
    )
    assert [(reply["id"], reply["error"]["code"]) for reply in (empty, named)] == [(1, -32600), (2, -32600)]


@pytest.mark.row("2 unknown method", "2.1 protocol errors")
async def test_unknown_and_hidden_methods_do_not_exist(client: Client) -> None:
    expected = {"code": -32601, "message": "Method does not exist"}
    for method in ("no.such", "core", "core.", ".ping", "core.ping ", "CORE.PING", "zfs.snapshot.query"):
        reply = await (await client.start(method))
        assert (sorted(reply), reply["error"]) == (["error", "id", "jsonrpc"], expected)
    assert (await client.call("core.set_options", {"private_methods": True}))["private_methods"] is True
    assert await client.call("zfs.snapshot.query") == []
    assert (await (await client.start("no.such")))["error"] == expected


@pytest.mark.row("2 no id")
async def test_a_call_without_an_id_is_executed_and_never_answered(client: Client, nas: Nas) -> None:
    await client.socket.send('{"jsonrpc":"2.0","method":"pool.dataset.create","params":[{"name":"tank/quiet"}]}')
    await client.socket.send('{"jsonrpc":"2.0","method":"pool.dataset.create","params":[{"name":"nowhere/x"}]}')
    await client.socket.send('{"jsonrpc":"2.0","method":"no.such"}')
    assert await client.call("core.ping") == "pong"
    assert nas.call_direct("pool.dataset.query", [["id", "=", "tank/quiet"]], {"count": True}) == 1


@pytest.mark.row("2 success")
async def test_a_success_always_has_a_result_if_only_null(client: Client) -> None:
    reply = await (await client.start("core.unsubscribe", "unknown"))
    assert reply == {"jsonrpc": "2.0", "result": None, "id": reply["id"]}


@pytest.mark.row("2 id")
@pytest.mark.parametrize(
    "text", ["1", "0", "-7", "9007199254740993", '"1"', '""', '"7f9c24e5-2f3a-4b9e-9d0f-0a1b2c3d4e5f"', "null"]
)
async def test_the_id_comes_back_with_its_json_type(server: Server, text: str) -> None:
    async with connect(server.url, proxy=None) as ws:
        for method, member in (("core.ping", '"result":"pong"'), ("no.such", '"error":{')):
            await ws.send(f'{{"jsonrpc":"2.0","id":{text},"method":"{method}"}}')
            reply = await ws.recv()
            assert isinstance(reply, str)
            assert member in reply
            assert f'"id":{text}' in reply


@pytest.mark.row("2.1 protocol errors")
async def test_an_internal_error_has_no_data(nas: Nas, client: Client) -> None:
    async def fail(call: Call, proceed: Proceed) -> Any:
        raise ApiError

    nas.intercept = fail
    reply = await (await client.start("core.ping"))
    assert reply["error"] == {"code": -32603, "message": "Internal error"}


@pytest.mark.row("2.1 -32000")
async def test_ten_calls_run_ten_wait_and_the_21st_is_refused_at_once_without_data(nas: Nas, dial: Any) -> None:
    gate, begun = asyncio.Event(), []

    async def hold(call: Call, proceed: Proceed) -> Any:
        if call.method == "core.unsubscribe":
            begun.append(call.params[0])
            await gate.wait()
        return await proceed()

    client, other = await dial(), await dial()
    nas.intercept = hold
    held = [await client.start("core.unsubscribe", str(number)) for number in range(20)]
    for _ in range(2):
        reply = await (await client.start("core.ping"))
        assert reply["error"] == {"code": -32000, "message": "Maximum number of concurrent calls (20) has exceeded"}
    assert begun == [str(number) for number in range(10)]
    assert await other.call("core.ping") == "pong"  # the limit is each connection's own
    gate.set()
    assert [(await future)["result"] for future in held] == [None] * 20
    assert begun == [str(number) for number in range(20)]
    assert await client.call("core.ping") == "pong"


async def test_replies_come_in_the_order_of_completion(nas: Nas, client: Client) -> None:
    gates = [asyncio.Event() for _ in range(3)]
    order: list[int] = []

    async def hold(call: Call, proceed: Proceed) -> Any:
        await gates[int(call.params[0])].wait()
        return await proceed()

    nas.intercept = hold
    futures = [await client.start("core.unsubscribe", str(number)) for number in range(3)]
    for number in (1, 2, 0):
        futures[number].add_done_callback(lambda _, number=number: order.append(number))
        gates[number].set()
        await futures[number]
    assert order == [1, 2, 0]


async def test_a_call_that_overtakes_the_login_is_not_authenticated(nas: Nas, dial: Any) -> None:
    seen = asyncio.Event()

    async def slow_login(call: Call, proceed: Proceed) -> Any:
        if call.method == "auth.login_with_api_key":
            await seen.wait()
        return await proceed()

    client = await dial(login=False)
    nas.intercept = slow_login
    login = await client.start("auth.login_with_api_key", KEY)
    early = await (await client.start("pool.query"))
    assert (early["error"]["code"], early["error"]["data"]["error"]) == (-32001, 207)
    seen.set()
    assert (await login)["result"] is True
    assert len(await client.call("pool.query")) == 1
