"""Tokens and the list of sessions over a real socket; what else there is to a login is in contract/test_section_03.py."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fake_truenas import Nas
from tests.fake_truenas.logins import ADA, serving
from tests.fake_truenas.rpc import KEY, make_nas


@pytest.fixture
async def passwords() -> AsyncIterator[Any]:
    """Opens connections to a NAS on which ada has a password."""
    async with serving(accounts=(ADA,)) as served:
        yield served.dial


async def test_a_call_sent_before_the_login_reply_may_be_judged_unauthenticated() -> None:
    gate = asyncio.Event()

    async def slow_login(call: Any, proceed: Any) -> Any:
        if call.method.startswith("auth."):
            await gate.wait()
        return await proceed()

    async with serving() as served:
        served.nas.intercept = slow_login
        client = await served.dial()
        login = await client.start("auth.login_with_api_key", KEY)
        assert (await client.refused("pool.query")).data["error"] == 207
        gate.set()
        assert (await login)["result"] is True


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
    session.secure = secure
    (row,) = await nas.apply(session, "auth.sessions", [])
    assert (row["origin"], row["secure_transport"]) == (origin, secure)
    nas.close()
