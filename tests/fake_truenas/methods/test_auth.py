"""Logging in and out over a real socket."""

import asyncio
import random
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas, NasConfig
from fake_truenas.passwords import Account
from tests.fake_truenas.rpc import KEY, Client, Clock, make_nas


async def test_nothing_but_public_methods_before_the_login(dial: Any) -> None:
    client = await dial(login=False)
    assert await client.call("core.ping") == "pong"
    assert "API_KEY_PLAIN" in await client.call("auth.mechanism_choices")
    for method in ("pool.dataset.query", "core.subscribe", "auth.me", "auth.logout", "core.get_jobs"):
        error = await client.refused(method)
        assert (error.code, error.data["error"], error.data["errname"]) == (-32001, 207, "ENOTAUTHENTICATED")
        assert error.reason == "[ENOTAUTHENTICATED] Not authenticated"
    assert (await client.refused("no.such")).code == -32601


async def test_a_wrong_key_is_false_after_a_delay_and_not_an_error(dial: Any) -> None:
    client = await dial(login=False)
    for key in ("1-wrong", "", "é", KEY[:-1]):
        assert await client.call("auth.login_with_api_key", key) is False
    assert (await client.refused("auth.me")).data["error"] == 207
    assert await client.call("auth.login_with_api_key", KEY) is True
    assert await client.call("auth.login_with_api_key", KEY) is True
    assert (await client.call("auth.me"))["pw_name"] == "truenas_admin"


async def test_login_ex_with_an_api_key_needs_the_right_user(dial: Any) -> None:
    client = await dial(login=False)
    login = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": KEY}
    assert await client.call("auth.login_ex", {**login, "username": "root"}) == {"response_type": "AUTH_ERR"}
    assert await client.call("auth.login_ex", {**login, "api_key": "1-x"}) == {"response_type": "AUTH_ERR"}
    reply = await client.call("auth.login_ex", login)
    assert (reply["response_type"], reply["authenticator"]) == ("SUCCESS", "LEVEL_1")
    assert reply["user_info"]["privilege"]["roles"] == ["FULL_ADMIN"]
    reply = await client.call("auth.login_ex", {**login, "login_options": {"user_info": False}})
    assert reply["user_info"] is None
    password = {"mechanism": "PASSWORD_PLAIN", "username": "truenas_admin", "password": KEY}
    assert await client.call("auth.login_ex", password) == {"response_type": "AUTH_ERR"}
    assert (await client.refused("auth.login_ex", {"mechanism": "SCRAM"})).code == -32602


async def test_logout_and_session_loss_leave_the_socket_open(nas: Nas, dial: Any) -> None:
    client = await dial()
    await client.call("core.subscribe", "pool.dataset.query")
    assert await client.call("auth.logout") is True
    assert (await client.refused("pool.query")).data["error"] == 207
    assert not nas.events.wanted("pool.dataset.query")
    await client.call("auth.login_with_api_key", KEY)
    nas.invalidate_sessions()
    assert (await client.refused("pool.query")).data["error"] == 207
    assert await client.call("core.ping") == "pong"
    assert await client.call("auth.login_with_api_key", KEY) is True
    assert len(await client.call("pool.query")) == 1


async def test_a_call_sent_before_the_login_reply_may_be_judged_unauthenticated() -> None:
    nas = make_nas()
    gate = asyncio.Event()

    async def slow_login(call: Any, proceed: Any) -> Any:
        if call.method.startswith("auth."):
            await gate.wait()
        return await proceed()

    nas.intercept = slow_login
    server = await nas.serve("127.0.0.1", 0)
    client = Client(await connect(server.url, proxy=None))
    login = await client.start("auth.login_with_api_key", KEY)
    assert (await client.refused("pool.query")).data["error"] == 207
    gate.set()
    assert (await login)["result"] is True
    await client.close()
    await server.close()
    nas.close()


@pytest.mark.parametrize(
    ("mechanism", "secret"),
    [("API_KEY_PLAIN", {"username": "truenas_admin", "api_key": "1-wrong"}),
     ("PASSWORD_PLAIN", {"username": "truenas_admin", "password": "x"}), ("TOKEN_PLAIN", {"token": "x"})],
)  # fmt: skip
async def test_every_offered_mechanism_is_understood(dial: Any, mechanism: str, secret: dict[str, str]) -> None:
    client = await dial(login=False)
    assert mechanism in await client.call("auth.mechanism_choices")
    assert await client.call("auth.login_ex", {"mechanism": mechanism, **secret}) == {"response_type": "AUTH_ERR"}
    assert (await client.refused("auth.me")).data["error"] == 207


async def test_a_password_logs_in_both_ways_and_a_wrong_one_does_not(passwords: Any) -> None:
    client = await passwords()
    for wrong in (("ada", "wrong"), ("bob", "engine"), ("ada", ""), ("ada", KEY), ("truenas_admin", "engine")):
        assert await client.call("auth.login", *wrong) is False
    assert (await client.refused("auth.me")).data["error"] == 207
    assert await client.call("auth.login", "ada", "engine", None) is True
    account = await client.call("auth.me")
    assert (account["pw_name"], account["account_attributes"]) == ("ada", ["LOCAL"])
    other = await passwords()
    login = {"mechanism": "PASSWORD_PLAIN", "username": "ada", "password": "engine"}
    assert await other.call("auth.login_ex", {**login, "password": "x"}) == {"response_type": "AUTH_ERR"}
    reply = await other.call("auth.login_ex", login)
    assert (reply["response_type"], reply["user_info"]["pw_name"]) == ("SUCCESS", "ada")
    assert (await other.refused("auth.login", "ada")).code == -32602


async def test_a_token_logs_in_as_whoever_made_it(passwords: Any) -> None:
    maker, first, second = [await passwords() for _ in range(3)]
    assert (await maker.refused("auth.generate_token")).data["error"] == 207
    await maker.call("auth.login", "ada", "engine")
    token = await maker.call("auth.generate_token", None, {}, True, True)
    assert await first.call("auth.login_with_token", token) is True
    assert (await first.call("auth.me"))["pw_name"] == "ada"
    assert await second.call("auth.login_ex", {"mechanism": "TOKEN_PLAIN", "token": token}) == {
        "response_type": "AUTH_ERR"
    }
    token = await first.call("auth.generate_token")
    reply = await second.call("auth.login_ex", {"mechanism": "TOKEN_PLAIN", "token": token})
    assert (reply["response_type"], reply["user_info"]["account_attributes"]) == ("SUCCESS", ["LOCAL"])
    assert (await second.refused("auth.generate_token", "600")).code == -32602


async def test_a_token_ends_with_the_session_that_came_in_by_it(nas: Nas, dial: Any) -> None:
    maker = await dial()
    token = await maker.call("auth.generate_token")
    client, other, gone = [await dial(login=False) for _ in range(3)]
    assert await client.call("auth.login_with_token", token) is True
    assert await client.call("auth.logout") is True
    assert await other.call("auth.login_with_token", token) is False
    token = await maker.call("auth.generate_token")
    assert await gone.call("auth.login_with_token", token) is True
    await gone.close()
    while len(nas.sessions) > 3:
        await asyncio.sleep(0)
    assert await other.call("auth.login_with_token", token) is False


async def test_a_session_by_token_is_lost_when_the_token_lapses(nas: Nas, dial: Any) -> None:
    maker, client = await dial(), await dial(login=False)
    assert await client.call("auth.login_with_token", await maker.call("auth.generate_token", 600)) is True
    assert len(await client.call("pool.query")) == 1
    (session,) = [one for one in nas.sessions.values() if one.credentials.kind == "TOKEN"]
    session.credentials.token.used_at -= 599
    assert len(await client.call("pool.query")) == 1  # and is as good as new by this
    session.credentials.token.used_at -= 599
    assert len(await client.call("pool.query")) == 1
    session.credentials.token.used_at -= 600
    assert (await client.refused("pool.query")).data["error"] == 207
    assert await client.call("core.ping") == "pong"
    assert len(await maker.call("pool.query")) == 1


async def test_sessions_shows_who_is_logged_in_from_where(passwords: Any) -> None:
    await passwords()  # not logged in: not shown
    by_key, by_token = await passwords(), await passwords()
    await by_key.call("auth.login_with_api_key", KEY)
    await by_token.call("auth.login_with_token", await by_key.call("auth.generate_token"))
    rows = await by_key.call("auth.sessions")
    assert [(row["credentials"], row["current"]) for row in rows] == [("API_KEY", True), ("TOKEN", False)]
    host, port = by_key.socket.local_address
    data = {
        "username": "truenas_admin",
        "login_at": {"$date": 1_700_000_000_000},
        "api_key": {"id": 1, "name": "key 1"},
    }
    assert {**rows[0], "id": ""} == {
        "id": "", "current": True, "internal": False, "origin": f"{host}:{port}", "credentials": "API_KEY",
        "credentials_data": data, "created_at": {"$date": 1_700_000_000_000}, "secure_transport": True,
    }  # fmt: skip
    parent = {"credentials": "API_KEY", "credentials_data": data}
    assert rows[1]["credentials_data"] == {"parent": parent, "username": "truenas_admin"}
    assert (await by_key.call("auth.sessions", [["current", "=", True]], {"get": True}))["id"] == rows[0]["id"]


async def test_a_terminated_session_keeps_its_socket(dial: Any) -> None:
    client, other, third = [await dial() for _ in range(3)]
    await other.call("core.subscribe", "pool.dataset.query")
    (victim,) = [row["id"] for row in await other.call("auth.sessions", [["current", "=", True]])]
    assert await client.call("auth.terminate_session", victim) is True
    assert await client.call("auth.terminate_session", victim) is False
    assert await client.call("auth.terminate_session", "none") is False
    assert (await other.refused("pool.query")).data["error"] == 207
    assert await other.call("core.ping") == "pong"
    assert await client.call("auth.terminate_other_sessions") is True
    assert (await third.refused("pool.query")).data["error"] == 207
    assert [row["current"] for row in await client.call("auth.sessions")] == [True]
    assert await other.call("auth.login_with_api_key", KEY) is True


@pytest.mark.parametrize(
    ("address", "origin", "secure"),
    [("::1", "[::1]:7", True), ("10.0.0.1", "10.0.0.1:7", False), ("fe80::1%eth0", "[fe80::1%eth0]:7", False),
     (None, "UNIX_SOCKET", True)],
)  # fmt: skip
async def test_origins(address: str | None, origin: str, secure: bool) -> None:
    nas = make_nas()
    session = nas.open_session(None)  # type: ignore[arg-type] - nothing is sent
    session.address, session.port = address, 7
    assert await nas.apply(session, "auth.login_with_api_key", [KEY]) is True
    (row,) = await nas.apply(session, "auth.sessions", [])
    assert (row["origin"], row["secure_transport"]) == (origin, secure)
    nas.close()


@pytest.fixture
async def passwords() -> Any:
    """Opens connections to a NAS on which ada has a password."""
    accounts = (Account.with_password("ada", "engine", b"salt"),)
    config = NasConfig(api_key=KEY, accounts=accounts, login_failure_delay_s=(0.0, 0.0))
    nas = Nas(config, rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    clients = []

    async def dial() -> Client:
        clients.append(Client(await connect(server.url, proxy=None)))
        return clients[-1]

    yield dial
    for client in clients:
        await client.close()
    await server.close()
    nas.close()
