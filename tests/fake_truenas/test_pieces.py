"""Large answers: others are served while they are made and sent, and they are what one turn would have made."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from fake_truenas import Nas, connection, pieces
from fake_truenas import nas as nas_module
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.framing import Request
from fake_truenas.legacy import Legacy
from fake_truenas.nas import Call, Proceed, Shaped
from fake_truenas.pieces import Answers, Pieces, gather, texts
from fake_truenas.server import Server
from fake_truenas.session import Session
from fake_truenas.steps import CHUNK, Steps, Unfinished, begin
from tests.fake_truenas.rpc import KEY, Client, make_nas

MANY = 20_000
FLAT = {"extra": {"retrieve_children": False, "properties": ["used", "refquota"]}}
BELOW = [["id", "^", "tank/csi/n"]]
FEWER = ["id", "<", "tank/csi/n004000"]
NESTED = "tank/csi/n000500"


def family(number: int, *sizes: int) -> dict[str, Any]:
    children = [family(child, *sizes[1:]) for child in range(sizes[0])] if sizes else []
    return {"id": number, "children": children, "text": '"children":[]'}


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [1, "a", None],
        [{"id": number} for number in range(2 * CHUNK + 1)],
        [family(1), family(2, CHUNK), family(3)],
        [family(1, 3, 200, 2), family(2)],
        [{"children": "none", "id": 1}, {"children": {"a": [1]}}],
    ],
)
def test_the_texts_of_entries_make_up_their_json(entries: list[Any]) -> None:
    found = list(texts(entries))
    assert b"".join(found) == orjson.dumps(entries)[1:-1]
    assert b"".join(texts(entries, b"[")) == (b"[" + b"".join(found) if entries else b"")


def test_no_text_has_more_than_a_few_hundred_entries_nested_ones_included() -> None:
    found = list(texts([family(1, 3, 200, 2), *({"id": number} for number in range(1000))]))
    assert max(text.count(b'"id"') for text in found) <= 2 * CHUNK
    assert len(found) > 8


def steps(*parts: list[Any], result: Any) -> Steps:
    yield from parts
    return result


def unfinished(*parts: list[Any], result: Any) -> Unfinished:
    answer = begin(steps(*parts, result=result))
    assert isinstance(answer, Unfinished)
    return answer


def wanted() -> bool:
    return True


async def encoded(*parts: list[Any], result: Any) -> Any:
    found = await Answers().encode(unfinished(*parts, result=result), wanted)
    return orjson.loads(found.whole()) if isinstance(found, Pieces) else found


async def test_a_list_that_came_in_parts_is_encoded() -> None:
    answer = await Answers().encode(unfinished([], [{"id": 1}], [], [{"id": 2}], result=[{"id": 3}]), wanted)
    assert isinstance(answer, Pieces)
    assert answer.whole() == b'[{"id":1},{"id":2},{"id":3}]'
    assert answer.size_bytes == len(answer.whole())
    assert await encoded([1], result=[]) == [1]


async def test_an_answer_that_turns_out_small_stays_as_it_is() -> None:
    assert await Answers().encode(unfinished([], result=[]), wanted) == []
    assert await Answers().encode(unfinished([], result=[{"id": 1}]), wanted) == [{"id": 1}]
    assert await Answers().encode(unfinished([], result=17), wanted) == 17
    assert await Answers().encode(unfinished([], result={"id": 1}), wanted) == {"id": 1}


@pytest.mark.parametrize("result", [family(1, CHUNK), [family(1, 3 * CHUNK)], list(range(3 * CHUNK))])
async def test_a_large_answer_that_came_at_the_end_is_encoded_too(result: Any) -> None:
    answer = await Answers().encode(unfinished([], result=result), wanted)
    assert isinstance(answer, Pieces)
    assert orjson.loads(answer.whole()) == result


async def test_answers_share_a_bound_and_count_until_they_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_HELD_BYTES", 100)
    answers = Answers()
    held = await answers.encode(unfinished(["x" * 60], result=[]), wanted)
    with pytest.raises(CallError, match="The answers under way hold more than 100 bytes"):
        await answers.encode(unfinished(["x" * 60], result=[]), wanted)
    held.take()
    again = await answers.encode(unfinished(["x" * 60], result=[]), wanted)
    assert isinstance(again, Pieces)
    del again
    assert isinstance(await answers.encode(unfinished(["x" * 60], result=[]), wanted), Pieces)


async def test_an_answer_that_nobody_waits_for_is_not_finished() -> None:
    with pytest.raises(asyncio.CancelledError):
        await Answers().encode(unfinished([1], result=[2]), lambda: False)


async def test_what_a_call_inside_of_another_answers_is_gathered_up_to_a_bound() -> None:
    assert await gather(unfinished([1], [2], result=[3])) == [1, 2, 3]
    assert await gather(unfinished([], result=3), most=1) == 3
    with pytest.raises(CallError, match="More than 2 entries"):
        await gather(unfinished([1], [2, 3], result=[]), most=2)


def test_pieces_become_the_message_of_either_protocol() -> None:
    nas = make_nas()
    request = Request("m", [], 'odd "id" \0', wants_reply=True)
    found = Pieces()
    found.add(b"[1,")
    found.add(b"2]")
    found.put_into(lambda result: Legacy(nas, Session("s")).result(request, result))
    nas.close()
    assert orjson.loads(found.whole()) == {"id": 'odd "id" \0', "msg": "result", "result": [1, 2]}
    size = found.size_bytes
    assert len(found.take()) == size
    assert found.size_bytes == 0


@pytest.fixture(scope="module")
def large() -> Iterator[Nas]:
    """A NAS with very many datasets, made by SQL, each with a user property of its own."""
    nas = make_nas()
    nas.call_direct("pool.dataset.create", {"name": "tank/csi"})
    with nas.db.transaction():
        parent = nas.db.value("select pk from dataset where name = 'tank/csi'")
        nas.db.run(
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) insert into dataset"
            " (name, parent, pool, pool_name, type, guid, createtxg, created_at, head)"
            " select printf('tank/csi/n%06d', i), ?, 1, 'tank', 'FILESYSTEM', i, 5, 0, i % 10 from n",
            (MANY, parent),
        )
        inner = nas.db.value("select pk from dataset where name = 'tank/csi/n000500'")
        nas.db.run(
            "insert into dataset (name, parent, pool, pool_name, type, guid, createtxg, created_at)"
            " select printf('tank/csi/n000500/%d', pk), ?, 1, 'tank', 'VOLUME', pk, 5, 0 from dataset limit 3000",
            (inner,),
        )
        nas.db.run(
            "insert into dataset_property select pk, 'x:name', name, pk from dataset where parent = ?", (parent,)
        )
    yield nas
    nas.close()


@pytest.fixture
async def served(large: Nas) -> AsyncIterator[Server]:
    server = await large.serve("127.0.0.1", 0)
    yield server
    await server.close()


async def dial(server: Server, **options: Any) -> ClientConnection:
    return await connect(
        server.url, proxy=None, compression=None, ping_interval=None, **{"max_size": None, "max_queue": None} | options
    )


async def log_in(server: Server) -> Client:
    client = Client(await dial(server))
    assert await client.call("auth.login_with_api_key", KEY) is True
    return client


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("pool.dataset.query", [BELOW, FLAT]),
        ("pool.dataset.query", [[["used.parsed", "!=", 3]], FLAT | {"count": True}]),
        (
            "pool.dataset.query",
            [[FEWER, ["used.parsed", "=", 3]], FLAT | {"order_by": ["-id"], "select": ["id", "used"]}],
        ),
        ("pool.dataset.query", [[FEWER, ["user_properties.x:name.value", "$", "99"]], FLAT]),
        ("pool.dataset.query", [BELOW, FLAT | {"offset": 700, "limit": 3_000, "order_by": ["-name"]}]),
        ("pool.dataset.query", [[["used.parsed", "<", 5]], FLAT | {"offset": 700, "limit": 900, "order_by": ["id"]}]),
        ("pool.dataset.query", [[FEWER], FLAT | {"order_by": ["-used.parsed"]}]),
        ("pool.dataset.query", [[["id", "in", ["tank/csi/n000499", NESTED]]], {"extra": {"properties": ["used"]}}]),
        ("pool.dataset.get_instance", [NESTED, {"extra": {"properties": []}}]),
        ("pool.dataset.query", [[["id", "=", NESTED]], {"get": True, "extra": {"properties": ["used"]}}]),
    ],
)
async def test_pings_are_answered_while_a_large_answer_is_made_and_it_is_that_of_one_turn(
    large: Nas, served: Server, method: str, params: list[Any]
) -> None:
    asking, pinging = await log_in(served), await log_in(served)
    answer = await asking.start(method, *params)
    for client in (pinging, pinging, asking):
        assert await client.call("core.ping") == "pong"
        assert not answer.done()
    assert (await answer)["result"] == large.call_direct(method, *params)
    for client in (asking, pinging):
        await client.close()


async def test_in_process_calls_give_way_too_and_give_the_same(large: Nas) -> None:
    done: list[str] = []

    async def call(name: str, *params: Any) -> Any:
        result = await large.call(name, *params)
        done.append(name)
        return result

    found, _ = await asyncio.gather(call("pool.dataset.query", BELOW, FLAT), call("core.ping"))
    assert done == ["core.ping", "pool.dataset.query"]
    assert found == large.call_direct("pool.dataset.query", BELOW, FLAT)


async def test_a_call_inside_of_another_has_a_bound(
    large: Nas, served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nas_module, "MAX_ENTRIES", 2000)
    client = await log_in(served)
    await client.call("core.set_options", {"legacy_jobs": False})
    items = [[BELOW, FLAT], [BELOW, FLAT | {"limit": 1500}]]
    refused, page = await client.call("core.bulk", "pool.dataset.query", items)
    assert refused["error"] == "[E2BIG] More than 2000 entries: ask for a page (`limit`)"
    assert len(page["result"]) == 1500
    await client.close()


async def test_an_answer_beyond_the_bound_is_refused_and_the_connection_goes_on(
    served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "MAX_HELD_BYTES", 1 << 20)
    client = await log_in(served)
    error = await client.refused("pool.dataset.query", BELOW, FLAT)
    assert (error.code, error.data["error"], error.data["errname"]) == (-32001, 7, "E2BIG")
    assert len(await client.call("pool.dataset.query", BELOW, FLAT | {"limit": 600})) == 600
    await client.close()


async def test_an_interceptor_gets_the_whole_message_to_send(large: Nas, served: Server) -> None:
    sizes: list[int] = []

    async def intercept(call: Call, proceed: Proceed) -> Any:
        def send(reply: bytes, write: Any) -> None:
            sizes.append(len(reply))
            write(reply)

        return Shaped(await proceed(), send)

    client = await log_in(served)
    large.intercept = intercept
    try:
        found = await client.call("pool.dataset.query", BELOW, FLAT | {"limit": 1000})
    finally:
        large.intercept = None
    assert found == large.call_direct("pool.dataset.query", BELOW, FLAT | {"limit": 1000})
    assert len(sizes) == 1
    await client.close()


async def ask(socket: ClientConnection, number: int, method: str, *params: Any) -> None:
    await socket.send(orjson.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).decode())


async def reading_late(server: Server) -> ClientConnection:
    """A client that reads nothing of its own accord, and has asked for a lot."""
    socket = await dial(server, max_queue=1)
    await ask(socket, 1, "auth.login_with_api_key", KEY)
    assert orjson.loads(await socket.recv())["result"] is True
    await ask(socket, 2, "core.subscribe", "pool.dataset.query")
    assert orjson.loads(await socket.recv())["id"] == 2
    await ask(socket, 3, "pool.dataset.query", BELOW, FLAT)
    return socket


async def until_sending(nas: Nas, client: Client) -> None:
    """Wait until a long answer is on its way."""
    while not any(one.connection is not None and one.connection.is_in_long_message for one in nas.sessions.values()):
        await client.call("core.ping")


async def test_what_is_said_while_a_long_answer_is_sent_comes_after_it(large: Nas, served: Server) -> None:
    other, late = await log_in(served), await reading_late(served)
    await until_sending(large, other)
    await other.call("pool.dataset.create", {"name": "tank/aside"})
    await ask(late, 4, "pool.dataset.query", BELOW, FLAT | {"limit": 2000})
    await ask(late, 5, "core.ping")
    await other.call("core.ping")
    messages = [orjson.loads(await late.recv()) for _ in range(4)]
    assert len(messages[0]["result"]) == MANY + 3000
    assert messages[1]["params"]["id"] == "tank/aside"
    assert {message["id"]: len(message["result"]) for message in messages[2:]} == {4: 2000, 5: len("pong")}
    await other.call("pool.dataset.delete", "tank/aside")
    await late.close()
    await other.close()


async def all_messages(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


async def test_a_client_that_does_not_read_its_long_answer_is_cut_off(
    large: Nas, served: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MAX_UNSENT_BYTES", 1 << 20)
    other, late = await log_in(served), await reading_late(served)
    await until_sending(large, other)
    for number in range(4, 12):
        await ask(late, number, "pool.dataset.query", BELOW, FLAT | {"limit": 500})
    with pytest.raises(ConnectionClosedError, match="no close frame"):
        await all_messages(late)
    assert await other.call("core.ping") == "pong"
    await other.close()


async def test_datasets_that_vanish_while_the_answer_is_made_are_left_out(nas: Nas) -> None:
    nas.call_direct("pool.dataset.create", {"name": "tank/a"})
    for number in range(3 * CHUNK):
        nas.call_direct("pool.dataset.create", {"name": f"tank/a/{number:04}"})
    for method, params in (("pool.dataset.query", [["id", "^", "tank/a/"]]), ("pool.dataset.get_instance", "tank/a")):
        served_method = nas.registry.methods[method]
        answer = begin(served_method.handler(Ctx(nas), *served_method.validate([params])))
        assert isinstance(answer, Unfinished)
        nas.call_direct("pool.dataset.delete", f"tank/a/{3 * CHUNK - 1:04}")
        nas.call_direct("pool.dataset.rename", f"tank/a/{3 * CHUNK - 2:04}", {"new_name": "tank/b", "force": True})
        found = answer.complete()
        names = [entry["id"] for entry in (found["children"] if isinstance(found, dict) else found)]
        assert names == [f"tank/a/{number:04}" for number in range(3 * CHUNK - 2)]
        nas.call_direct("pool.dataset.rename", "tank/b", {"new_name": f"tank/a/{3 * CHUNK - 2:04}", "force": True})
        nas.call_direct("pool.dataset.create", {"name": f"tank/a/{3 * CHUNK - 1:04}"})
