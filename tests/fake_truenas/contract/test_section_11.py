"""Section 11 of the contract: the legacy protocol at `/websocket`."""

import asyncio
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import connect

from fake_truenas import Call, Nas, Proceed, events
from fake_truenas.errors import CallError
from fake_truenas.passwords import Account
from fake_truenas.persona import TRAINS
from fake_truenas.server import Server
from tests.fake_truenas.rpc import KEY
from tests.fake_truenas.transport import LegacyClient, address, legacy, serving

FAILED = {"msg": "failed", "version": "1"}


@pytest.mark.row("1 Legacy")
@pytest.mark.parametrize("version", TRAINS)
async def test_every_release_serves_it(version: str) -> None:
    async with serving(version=version) as (_, server), legacy(server) as client:
        assert await client.call("core.ping") == "pong"
        assert (await client.call("pool.query"))[0]["name"] == "tank"
        assert (await client.call("auth.me"))["pw_name"] == "truenas_admin"


@pytest.mark.row("1 Legacy")
async def test_before_a_connect_of_version_1_everything_fails(server: Server, nas: Nas) -> None:
    async with connect(address(server, "/websocket"), proxy=None) as ws:
        client = LegacyClient(ws)
        assert await client.ask(msg="ping") == FAILED
        assert await client.ask(msg="method", method="core.ping", id=1) == FAILED
        assert await client.ask(msg="connect", version="2", support=["1", "2"]) == FAILED
        assert await client.ask(msg="connect") == FAILED
        (session_id,) = nas.sessions
        assert await client.ask(msg="connect", version="1", support=["1"], features=[]) == {
            "msg": "connected",
            "session": session_id,
        }
        assert await client.ask(msg="method", method="core.ping", id=1) == {"msg": "result", "id": 1, "result": "pong"}


@pytest.mark.row("1 Legacy")
async def test_a_login_is_a_method_like_any_other() -> None:
    async with serving(version="24.10") as (_, server), legacy(server, login=False) as client:
        assert await client.call("auth.login_with_api_key", "1-wrong") is False
        assert (await client.refused("pool.query"))["error"] == 207
        assert await client.call("auth.login_with_api_key", KEY) is True
        assert len(await client.call("pool.query")) == 1
        token = await client.call("auth.generate_token")
        async with legacy(server, login=False) as other:
            assert await other.call("auth.login_with_token", token) is True


@pytest.mark.row("1 Legacy")
@pytest.mark.parametrize("request_id", [7, "uuid", 1.5, None, [1], {"a": 1}])
async def test_the_id_comes_back_whatever_it_is(server: Server, request_id: Any) -> None:
    async with legacy(server) as client:
        reply = await client.ask(msg="method", method="core.ping", id=request_id, params=None)
        assert reply == {"msg": "result", "id": request_id, "result": "pong"}


@pytest.mark.row("1 Legacy")
async def test_refused_parameters_are_eagain_of_type_validation(server: Server) -> None:
    async with legacy(server) as client:
        error = await client.refused("pool.dataset.get_instance", "tank/none")
        assert sorted(error) == ["errname", "error", "extra", "reason", "trace", "type"]
        assert (error["error"], error["errname"], error["type"]) == (11, "EAGAIN", "VALIDATION")
        assert error["extra"] == [[None, "PoolDataset tank/none does not exist", 2]]
        assert error["reason"] == "[ENOENT] None: PoolDataset tank/none does not exist"
        assert sorted(error["trace"]) == ["class", "formatted", "frames", "repr"]


@pytest.mark.row("1 Legacy")
async def test_other_refusals_have_their_errno_and_no_type(nas: Nas, server: Server) -> None:
    async def refuse(call: Call, proceed: Proceed) -> Any:
        if call.method == "core.ping":
            raise CallError("injected", 5, extra={"a": 1})
        return await proceed()

    async with legacy(server) as client:
        nas.intercept = refuse
        error = await client.refused("core.ping")
        assert (error["error"], error["errname"], error["reason"]) == (5, "EIO", "[EIO] injected")
        assert (error["type"], error["extra"], error["trace"]["class"]) == (None, {"a": 1}, "CallError")
        for method, number, reason in (
            ("no.such", 201, "[ENOMETHOD] Service 'no' not found"),
            ("pool.such", 201, "[ENOMETHOD] Method 'such' not found in 'pool'"),
            ("such", 74, "[EBADMSG] Invalid method name"),
        ):
            error = await client.refused(method)
            assert (error["error"], error["reason"], error["type"]) == (number, reason, None)


@pytest.mark.row("1 Legacy")
@pytest.mark.parametrize(
    ("version", "reason", "traced"),
    [("24.10", "Not authenticated", False), ("25.10", "[ENOTAUTHENTICATED] Not authenticated", True)],
)
async def test_calls_before_the_login_are_not_authenticated(version: str, reason: str, traced: bool) -> None:
    async with serving(version=version) as (_, server), legacy(server, login=False) as client:
        error = await client.refused("pool.query")
        assert (error["error"], error["errname"], error["type"]) == (207, "ENOTAUTHENTICATED", None)
        assert (error["reason"], error["trace"] is not None, error["extra"]) == (reason, traced, None)


@pytest.mark.row("1 Legacy")
async def test_the_21st_call_is_refused_with_109(nas: Nas, server: Server) -> None:
    gate = asyncio.Event()

    async def hold(call: Call, proceed: Proceed) -> Any:
        await gate.wait()
        return await proceed()

    async with legacy(server) as client:
        nas.intercept = hold
        for number in range(20):
            await client.say(msg="method", method="core.ping", id=number)
        error = await client.refused("core.ping")
        assert error == {
            "error": 109, "errname": "ETOOMANYREFS", "type": None, "trace": None, "extra": None,
            "reason": "Maximum number of concurrent calls (20) has exceeded.",
        }  # fmt: skip
        assert await client.ask(msg="ping") == {"msg": "pong"}  # no call, so it is not counted
        gate.set()
        assert [(await client.hear())["id"] for _ in range(20)] == list(range(20))


@pytest.mark.row("1 Legacy")
async def test_subscriptions_bear_the_ids_of_the_client(nas: Nas, server: Server) -> None:
    async with legacy(server) as client, legacy(server) as other:
        assert await client.ask(msg="sub", id="s1", name="pool.dataset.query") == {"msg": "ready", "subs": ["s1"]}
        assert await other.ask(msg="sub", id="s1", name="pool.dataset.query") == {"msg": "ready", "subs": ["s1"]}
        nas.call_direct("pool.dataset.create", {"name": "tank/a"})
        nas.call_direct("pool.dataset.update", "tank/a", {"comments": "new"})
        await nas.call("pool.dataset.delete", "tank/a")
        for one in (client, other):
            added, changed, removed = [await one.hear() for _ in range(3)]
            assert [event["msg"] for event in (added, changed, removed)] == ["added", "changed", "removed"]
            assert {event["collection"] for event in (added, changed, removed)} == {"pool.dataset.query"}
            assert (added["id"], added["fields"]["name"]) == ("tank/a", "tank/a")
            assert changed["fields"]["comments"]["value"] == "new"
            assert (removed["id"], "fields" in removed) == ("tank/a", False)
        ended = {"msg": "nosub", "id": "s1", "collection": "pool.dataset.query"}
        assert await client.ask(msg="unsub", id="s1") == ended
        await client.say(msg="unsub", id="s1")  # of none is not answered
        nas.call_direct("pool.dataset.create", {"name": "tank/b"})
        assert (await other.hear())["id"] == "tank/b"
        assert await client.ask(msg="ping", id=3) == {"msg": "pong", "id": 3}


@pytest.mark.row("1 Legacy")
async def test_a_subscription_before_the_login_is_not_authorized(server: Server) -> None:
    async with legacy(server, login=False) as client:
        assert await client.ask(msg="sub", id=4, name="pool.dataset.query") == {
            "msg": "result",
            "id": 4,
            "error": {
                "error": 13, "errname": "EACCES", "type": None, "reason": "Not authorized", "trace": None, "extra": None,
            },
        }  # fmt: skip


@pytest.mark.row("1 Legacy")
async def test_a_subscription_needs_a_role_and_a_login_that_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serving(accounts=(Account("truenas_admin", roles=("READONLY_ADMIN",)),)) as (nas, server),
        legacy(server) as client,
    ):
        assert (await client.ask(msg="sub", id=1, name="pool.dataset.query"))["msg"] == "ready"
        assert (await client.ask(msg="sub", id=2, name="auth.sessions"))["error"]["errname"] == "EACCES"
        monkeypatch.setattr(events, "MAX_SUBSCRIPTIONS", 1)
        error = (await client.ask(msg="sub", id=3, name="pool.dataset.query"))["error"]
        assert (error["errname"], error["type"]) == ("EBUSY", None)
        (session,) = nas.sessions.values()
        assert session.credentials is not None
        monkeypatch.setattr(type(session.credentials), "valid", lambda *_: False)
        assert (await client.ask(msg="sub", id=1, name="pool.dataset.query"))["error"]["errname"] == "EACCES"
        assert session.username is None


@pytest.mark.row("1 Legacy")
async def test_a_subscription_that_the_server_ends_is_told(nas: Nas, server: Server) -> None:
    async with legacy(server) as client:
        await client.ask(msg="sub", id="s", name="pool.dataset.query")
        (session,) = nas.sessions.values()
        assert session.connection is not None
        session.connection.notify("notify_unsubscribed", {"collection": "pool.dataset.query", "error": None})
        assert await client.hear() == {"msg": "nosub", "collection": "pool.dataset.query"}
        data = CallError("gone", 5).data()
        session.connection.notify("notify_unsubscribed", {"collection": "pool.dataset.query", "error": data})
        heard = await client.hear()
        assert (heard["msg"], heard["error"]["reason"], heard["error"]["type"]) == ("nosub", "[EIO] gone", None)


@pytest.mark.row("1 Legacy")
async def test_no_method_is_hidden(server: Server) -> None:
    async with legacy(server) as client:
        assert await client.call("zfs.snapshot.query") == []  # private in 25.10


@pytest.mark.row("1 Legacy")
async def test_jobs_always_answer_with_their_id(server: Server) -> None:
    async with legacy(server) as client:
        for options in ({}, {"legacy_jobs": False}):
            await client.call("core.set_options", options)
            assert type(await client.call("core.bulk", "core.ping", [[]])) is int


@pytest.mark.row("1 Legacy")
@pytest.mark.parametrize("text", ["no json", "", '{"msg":', "\0", '{"msg":"ping","id":NaN}', "[" * 8192])
@pytest.mark.parametrize("greeted", [True, False])
async def test_bad_json_closes_with_1007(server: Server, text: str, greeted: bool) -> None:
    async with connect(address(server, "/websocket"), proxy=None) as ws:
        if greeted:
            await LegacyClient(ws).ask(msg="connect", version="1")
        await ws.send(text)
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason != "") == (1007, True)


@pytest.mark.row("1 Legacy")
@pytest.mark.parametrize(
    "message",
    [
        7, None, "text", [], [{"msg": "ping"}], {}, {"msg": None}, {"msg": "method", "method": 7, "id": 1},
        {"msg": "method"}, {"msg": "method", "method": "core.ping", "params": "x"}, {"msg": "sub", "id": 1},
        {"msg": "sub", "name": "a.b"}, {"msg": "sub", "name": 7, "id": 1}, {"msg": "unsub"},
    ],
)  # fmt: skip
async def test_json_that_the_handler_fails_on_closes_with_1011(server: Server, message: Any) -> None:
    async with legacy(server) as client:
        await client.ws.send(orjson.dumps(message).decode())
        await client.ws.wait_closed()
        assert (client.ws.close_code, client.ws.close_reason != "") == (1011, True)


@pytest.mark.row("1 Legacy")
async def test_malformed_methods_are_refused_and_unknown_messages_ignored(server: Server) -> None:
    async with legacy(server) as client:
        for message, reason in (
            ({"id": 5}, "Message is malformed: 'method' is absent."),
            ({"id": 5, "method": "core.ping", "params": {"a": 1}}, "`params` must be a list."),
            ({"id": 5, "method": "core.ping", "params": "x"}, "`params` must be a list."),
        ):
            error = (await client.ask(msg="method", **message))["error"]
            assert (error["error"], error["errname"], error["reason"]) == (22, "EINVAL", reason)
        for params in (None, [], {}, ""):
            assert (await client.ask(msg="method", method="core.ping", id=6, params=params))["result"] == "pong"
        await client.say(msg="whatever", id=1)
        await client.say(msg=["ping"])
        await client.say(msg="method", method="core.ping")  # no id: executed, not answered
        assert await client.ask(msg="ping") == {"msg": "pong"}


@pytest.mark.row("1 Legacy")
async def test_python_exceptions_are_a_feature_that_is_asked_for(nas: Nas, server: Server) -> None:
    async def fail(call: Call, proceed: Proceed) -> Any:
        raise ZeroDivisionError("division by zero")

    nas.intercept = fail
    async with connect(address(server, "/websocket"), proxy=None) as ws:
        client = LegacyClient(ws)
        await client.ask(msg="connect", version="1", features=["PY_EXCEPTIONS"])
        error = await client.refused("core.ping")
        assert (error["error"], error["reason"], "py_exception" in error) == (22, "division by zero", True)
    async with legacy(server, login=False) as client:
        assert "py_exception" not in await client.refused("core.ping")
