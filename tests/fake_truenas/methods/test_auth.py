"""Logging in and out over a real socket."""

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas
from tests.fake_truenas.rpc import KEY, Client, make_nas


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
