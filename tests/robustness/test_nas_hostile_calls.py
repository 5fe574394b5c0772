"""Well-formed calls that ask for too much: each is refused or done in bounded steps, and others are served meanwhile."""

import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from fake_truenas import jobs
from fake_truenas.events import MAX_SUBSCRIPTIONS
from fake_truenas.methods import core
from tests.fake_truenas.rpc import KEY, Client, RpcError
from tests.fake_truenas.transport import Raw, dialled, serving

MIB = 1 << 20
INT_MAX = (1 << 63) - 1
NUMBERS = [0, -1, INT_MAX, -INT_MAX - 1, 1 << 63, (1 << 64) - 1, 1e308, -1e-320, 0.1, True, None]
LOGIN = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "auth.login_with_api_key", "params": [KEY]})

Clients = tuple[Client, Client]


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Somebody hostile, whose jobs answer with their result, and a bystander who must go on being served."""
    async with serving() as (_, server), dialled(server.url) as hostile, dialled(server.url) as bystander:
        await hostile.call("core.set_options", {"legacy_jobs": False})
        yield hostile, bystander
        assert await bystander.call("core.ping") == "pong"


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with serving() as (_, server):
        opened = await Raw.open(server.port)
        opened.send(LOGIN)
        assert orjson.loads((await opened.receive())[1])["result"] is True
        yield opened
        await opened.close()


async def served_meanwhile(clients: Clients, *call: Any) -> Any:
    """The result of a long call of the hostile one, during which the bystander's calls were answered."""
    hostile, bystander = clients
    reply = await hostile.start(*call)
    for _ in range(3):
        assert await bystander.call("core.ping") == "pong"
    assert not reply.done(), "it was over before anybody else had a turn"
    return (await reply)["result"]


@contextlib.contextmanager
def bounded(limit_bytes: int) -> Iterator[None]:
    """What becomes live in the block at its highest, on the server and at both clients together."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


async def answered(client: Client, method: str, *params: Any) -> Any:
    """The result, or None where the call was refused for what it asks; an accident of the server is neither."""
    try:
        return await client.call(method, *params)
    except RpcError as error:
        if error.data["trace"]["class"] not in {"CallError", "ValidationErrors"}:
            raise
        return None


async def test_a_hundred_thousand_filters_do_not_fit_into_a_message(clients: Clients) -> None:
    socket = clients[0].socket
    message = {"jsonrpc": "2.0", "id": 1, "method": "pool.dataset.query", "params": [[["id", "=", "x"]] * 100_000]}
    with contextlib.suppress(ConnectionClosed):
        await socket.send(orjson.dumps(message).decode())
    await socket.wait_closed()
    assert (socket.close_code, socket.close_reason) == (1009, "Max message length is 64 kB")


async def test_as_many_filters_as_fit_are_refused_by_their_number(clients: Clients) -> None:
    hostile, _ = clients
    for filters in ([["id", "=", "x"]] * 3500, [["OR", [["id", "=", "x"]] * 3500]]):
        error = await hostile.refused("pool.dataset.query", filters)
        assert [(field, errno) for field, _, errno in error.items] == [("filters", 22)]
        assert "1000 are allowed" in error.items[0][1]
    assert await hostile.call("pool.dataset.query", [["id", "=", "x"]] * 900) == []


@pytest.mark.parametrize(("method", "field"), [("pool.dataset.query", "id"), ("sharing.nfs.query", "id")])
async def test_any_number_can_be_compared_with_any_field(clients: Clients, method: str, field: str) -> None:
    hostile, _ = clients
    for op in ("=", "!=", ">", "<=", "in", "rin", "~", "^"):
        for number in NUMBERS:
            found = await answered(hostile, method, [[field, op, [number] if op == "in" else number]])
            assert found is None or isinstance(found, list)
    for option in ("limit", "offset"):
        for number in NUMBERS:
            await answered(hostile, method, [], {option: number})


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "VOLUME", "sparse": True, "force_size": True, "volsize": ...},
        {"type": "VOLUME", "force_size": True, "volsize": ...},
        {"quota": ...},
        {"refquota": ...},
        {"reservation": ...},
        {"refreservation": ...},
    ],
    ids="+".join,
)
async def test_sizes_beyond_all_bounds_are_refused_or_kept_as_they_are(
    clients: Clients, fields: dict[str, Any]
) -> None:
    hostile, _ = clients
    (key,) = (key for key, value in fields.items() if value is ...)
    for number, size in enumerate([*NUMBERS, INT_MAX - 4095, INT_MAX // 16384 * 16384, 1 << 62]):
        data = {name: size if value is ... else value for name, value in fields.items()}
        entry = await answered(hostile, "pool.dataset.create", {"name": f"tank/big{number}", **data})
        if entry is not None:
            assert entry[key]["parsed"] == (size or None)
        root = await hostile.call("pool.dataset.get_instance", "tank", {"extra": {"retrieve_children": False}})
        assert root["available"]["parsed"] >= 0


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "a{1000}" * 40, "(" * 400 + ")" * 400, "(a{50}){50}"]
)
async def test_no_regular_expression_takes_more_than_its_share(clients: Clients, pattern: str) -> None:
    hostile, _ = clients
    user = [{"key": f"x:{number}", "value": "a" * 1000 + "!"} for number in range(20)]
    await hostile.call("pool.dataset.create", {"name": "tank/texts", "user_properties": user})
    filters = [["user_properties.*.value", "~", pattern]] * 50
    with bounded(64 * MIB):
        await answered(hostile, "pool.dataset.query", filters, {"select": ["id"]})


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_parameters_nested_a_thousand_deep_are_refused(raw: Raw, opening: str, closing: str) -> None:
    nested = opening * 1000 + "1" + closing * 1000
    for method in ("pool.dataset.query", "pool.dataset.create", "core.bulk", "core.ping"):
        raw.send(f'{{"jsonrpc":"2.0","id":7,"method":"{method}","params":[{nested}]}}'.encode())
        error = orjson.loads((await raw.receive())[1])["error"]
        assert error["code"] == -32700
        assert "deep" in error["message"]


async def test_as_deep_as_messages_may_be_is_refused_by_the_method(raw: Raw) -> None:
    nested = "[" * 150 + "]" * 150
    for method, params in (
        ("pool.dataset.query", f'[["OR",{nested}]]'),
        ("pool.dataset.query", f'[["id","=",{nested}]],{{"extra":{{"properties":{nested}}}}}'),
        ("pool.dataset.create", f'{{"name":"tank/a","user_properties":{nested}}}'),
        ("core.bulk", f'"pool.dataset.query",[[{nested}]]'),
    ):
        raw.send(f'{{"jsonrpc":"2.0","id":7,"method":"{method}","params":[{params}]}}'.encode())
        reply = orjson.loads((await raw.receive())[1])
        assert reply["id"] == 7
        assert "error" not in reply or reply["error"]["data"]["trace"]["class"] != "RecursionError"


async def test_user_property_values_of_64_kib_are_refused_and_leave_nothing(clients: Clients) -> None:
    hostile, _ = clients
    user = [{"key": "x:long", "value": "v" * 60_000}]
    error = await hostile.refused("pool.dataset.create", {"name": "tank/long", "user_properties": user})
    assert len(error.reason) < 1000
    assert "user_properties" in error.reason
    assert await hostile.call("pool.dataset.query", [["id", "=", "tank/long"]]) == []


async def test_a_selection_does_not_change_what_others_are_shown(clients: Clients) -> None:
    hostile, bystander = clients
    before = await bystander.call("pool.dataset.query")
    select = ["readonly", "readonly.*", "used", "used.*", "encryption_algorithm", "encryption_algorithm.*"]
    await answered(hostile, "pool.dataset.query", [], {"select": select})
    assert await bystander.call("pool.dataset.query") == before


async def test_a_bulk_of_thousands_lets_the_others_have_their_turn(clients: Clients) -> None:
    with bounded(64 * MIB):
        statuses = await served_meanwhile(clients, "core.bulk", "core.ping", [[]] * 10_000)
    assert statuses == [{"job_id": None, "error": None, "result": "pong"}] * 10_000


async def test_a_bulk_in_a_bulk_in_a_bulk_fails_instead_of_waiting_for_itself(clients: Clients) -> None:
    hostile, _ = clients
    twice = await hostile.call("core.bulk", "core.bulk", [["core.ping", [[], []]]])
    assert [one["result"] for one in twice[0]["result"]] == ["pong", "pong"]
    deeper: list[Any] = ["core.ping", [[]]]
    for _ in range(50):
        deeper = ["core.bulk", [deeper]]
    (status,) = await hostile.call("core.bulk", *deeper)
    assert "wait for itself" in status["error"]


async def test_a_job_that_would_wait_for_itself_fails(clients: Clients) -> None:
    hostile, bystander = clients
    first = await bystander.call("core.bulk", "core.ping", [])
    error = await hostile.refused("core.job_wait", first + 1)
    assert error.reason == f"[EDEADLOCK] Job {first + 1} would wait for itself"
    (status,) = await hostile.call("core.bulk", "core.job_wait", [[first + 2]])
    assert "wait for itself" in status["error"]
    states = [job["state"] for job in await bystander.call("core.get_jobs")]
    assert set(states) == {"SUCCESS", "FAILED"}


async def test_a_bulk_stops_when_its_results_become_too_many(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile, _ = clients
    monkeypatch.setattr(core, "MAX_BULK_BYTES", 100_000)
    items = [[{"name": f"tank/d{number:03}"}] for number in range(200)]
    statuses = await hostile.call("core.bulk", "pool.dataset.create", items)
    made = [status["result"]["id"] for status in statuses if status["error"] is None]
    assert 0 < len(made) < 100
    assert {status["error"] for status in statuses[len(made) :]} == {
        "[E2BIG] Not done: the results so far have more than 100000 bytes"
    }
    present = await hostile.call("pool.dataset.query", [["id", "^", "tank/"]], {"order_by": ["id"], "select": ["id"]})
    assert [entry["id"] for entry in present] == made


async def test_finished_jobs_are_forgotten_sooner_when_much_is_kept_of_them(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile, _ = clients
    monkeypatch.setattr(jobs, "MAX_FINISHED_BYTES", 50_000)
    for _ in range(20):
        await hostile.call("core.bulk", "pool.dataset.query", [[]] * 3)
    kept = [job["id"] for job in await hostile.call("core.get_jobs")]
    assert 1 <= len(kept) < 10
    assert kept == list(range(21 - len(kept), 21))


async def test_more_jobs_than_may_wait_are_refused_and_the_others_end(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile, bystander = clients
    monkeypatch.setattr(jobs, "MAX_UNFINISHED", 30)
    await bystander.call("core.bulk", "core.ping", [[]] * 15_000)
    waiting = [await bystander.call("core.bulk", "core.ping", [[]]) for _ in range(29)]
    error = await hostile.refused("core.bulk", "core.ping", [[]])
    assert error.reason == "[EBUSY] 30 jobs run or wait already: wait until some have ended"
    assert await hostile.call("pool.query", [], {"count": True}) == 1
    await hostile.call("core.set_options", {"legacy_jobs": True})
    entries = await bystander.call("core.get_jobs", [["state", "in", ["WAITING", "RUNNING"]]])
    assert [entry["id"] for entry in entries][1:] == waiting
    for job in entries[1:]:
        await bystander.call("core.job_abort", job["id"])
    assert isinstance(await hostile.call("core.bulk", "core.ping", [[]]), int)


async def test_subscriptions_of_one_connection_are_bounded_and_one_event_is_sent_once(clients: Clients) -> None:
    hostile, bystander = clients
    ids = [await hostile.call("core.subscribe", "pool.dataset.query") for _ in range(MAX_SUBSCRIPTIONS)]
    error = await hostile.refused("core.subscribe", "sharing.nfs.query")
    assert error.reason == "[EBUSY] This connection has 1000 subscriptions: end some first"
    assert await bystander.call("core.subscribe", "pool.dataset.query")
    await bystander.call("pool.dataset.create", {"name": "tank/seen"})
    assert (await hostile.events.get())["params"]["id"] == "tank/seen"
    assert hostile.events.empty()
    await hostile.call("core.unsubscribe", ids[0])
    assert await hostile.call("core.subscribe", "sharing.nfs.query")


async def test_odd_names_of_events_are_taken_or_refused(clients: Clients) -> None:
    hostile, bystander = clients
    names = [
        "",
        " ",
        "*",
        "**",
        ":",
        "a:b:c",
        "pool.dataset.query:{",
        "\x00",
        "\U0001f4a5",
        "a" * 1024,
        "..",
        "[",
        "%s",
    ]
    for name in names:
        subscription = await answered(hostile, "core.subscribe", name)
        assert subscription is None or isinstance(subscription, str)
    for wrong in ("a" * 1025, 1, None, ["pool.dataset.query"], {}):
        assert (await hostile.refused("core.subscribe", wrong)).code == -32602
    await bystander.call("pool.dataset.create", {"name": "tank/seen"})
    assert (await hostile.events.get())["params"]["id"] == "tank/seen"
    assert hostile.events.empty()
