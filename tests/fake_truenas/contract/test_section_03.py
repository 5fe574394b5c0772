"""Authentication, as truenas-api.md section 3 says it, over real sockets."""

import asyncio
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path
from ssl import create_default_context
from typing import Any

import pytest
from websockets.asyncio.client import connect

from fake_truenas import Nas, NasConfig
from fake_truenas.key_pair import CERTIFICATE_FILE
from fake_truenas.rate_limit import RateLimit
from fake_truenas.tls import self_signed
from tests.fake_truenas.logins import (
    ADA,
    EVE,
    OTP_CODE,
    OTP_TIME,
    ScramClient,
    account,
    serving,
)
from tests.fake_truenas.rpc import KEY, Client, Clock

AUTH_ERR = {"response_type": "AUTH_ERR"}
EXPIRED = {"response_type": "EXPIRED"}
BY_KEY = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": KEY}
BY_PASSWORD = {"mechanism": "PASSWORD_PLAIN", "username": "ada", "password": "engine"}
EVES_PASSWORD = {"mechanism": "PASSWORD_PLAIN", "username": "eve", "password": "snake"}
OTP = {"mechanism": "OTP_TOKEN", "otp_token": OTP_CODE}
WRONG_OTP = {"mechanism": "OTP_TOKEN", "otp_token": "000000"}


async def is_logged_out(client: Client) -> bool:
    """Every call gives 207, while core.ping is still answered."""
    error = await client.refused("pool.query")
    shown = (error.code, error.data["error"], error.data["errname"], error.reason)
    assert await client.call("core.ping") == "pong"
    return shown == (-32001, 207, "ENOTAUTHENTICATED", "[ENOTAUTHENTICATED] Not authenticated")


async def test_what_is_public_is_answered_before_the_login_and_nothing_else() -> None:
    async with serving() as served:
        client = await served.dial()
        assert await client.call("core.ping") == "pong"
        assert (await client.call("core.set_options", {}))["legacy_jobs"] is True
        assert await client.call("auth.mechanism_choices")
        assert await client.call("system.ready") is True
        assert await client.call("auth.login", "a", "b", None) is False
        assert await client.call("auth.login_with_api_key", "1-x") is False
        assert await client.call("auth.login_with_token", "x") is False
        assert await client.call("auth.login_ex", {**BY_KEY, "api_key": "1-x"}) == AUTH_ERR
        assert (await client.refused("auth.login_ex_continue", OTP)).data["error"] == 22
        public = {name for name, method in served.nas.registry.methods.items() if method.public}
        for name in sorted(served.nas.registry.methods.keys() - public):
            if not served.nas.registry.methods[name].private:
                assert (await client.refused(name)).data["error"] == 207, name


@pytest.mark.row("3 auth.login_with_api_key")
async def test_a_key_logs_in_and_a_wrong_one_is_false_after_a_second_or_two_and_not_an_error() -> None:
    assert NasConfig(api_key=KEY).login_failure_delay_s == (1.0, 2.0)
    async with serving(login_failure_delay_s=(0.05, 0.05)) as served:
        client = await served.dial()
        for wrong in ("1-wrong", KEY[:-1], KEY[2:], "2" + KEY[1:], "", "é", "1-" + "K" * 64):
            login = await client.start("auth.login_with_api_key", wrong)
            assert await client.call("core.ping") == "pong"
            assert not login.done()  # it waits, and holds up nobody
            assert (await login)["result"] is False
        assert await is_logged_out(client)
        assert await client.call("auth.login_with_api_key", KEY) is True
        assert len(await client.call("pool.query")) == 1


@pytest.mark.row("3 auth.login_with_token")
async def test_a_token_logs_in_and_a_wrong_one_does_not() -> None:
    async with serving() as served:
        maker, client = await served.dial(key=KEY), await served.dial()
        token = await maker.call("auth.generate_token")
        assert await client.call("auth.login_with_token", f"{token}x") is False
        assert await is_logged_out(client)
        assert await client.call("auth.login_with_token", token) is True
        assert (await client.call("auth.me"))["pw_name"] == "truenas_admin"


@pytest.mark.row("3 auth.login")
async def test_user_and_password_log_in_and_a_second_factor_where_there_is_one() -> None:
    async with serving(accounts=(ADA, EVE)) as served:
        client = await served.dial()
        assert await client.call("auth.login", "ada", "wrong", None) is False
        assert await client.call("auth.login", "nobody", "engine", None) is False
        assert await client.call("auth.login", "ada", "engine", None) is True
        assert await client.call("auth.login", "ada", "engine") is True
        served.clock.now = OTP_TIME
        other = await served.dial()
        assert await other.call("auth.login", "eve", "snake", None) is False
        assert await other.call("auth.login", "eve", "snake", "000000") is False
        assert await other.call("auth.login", "eve", "wrong", OTP_CODE) is False
        assert await is_logged_out(other)
        assert await other.call("auth.login", "eve", "snake", OTP_CODE) is True
        served.clock.now = OTP_TIME + 30
        assert await (await served.dial()).call("auth.login", "eve", "snake", OTP_CODE) is False


@pytest.mark.row("3 auth.login_ex")
@pytest.mark.parametrize("version", ["25.04", "25.10", "26.0"])
async def test_every_mechanism_answers_from_the_union_and_success_tells_who_one_is(version: str) -> None:
    reconnect = {"reconnect_token": None} if version == "26.0" else {}
    async with serving(accounts=(ADA, EVE), version=version) as served:
        client = await served.dial()
        for wrong in ({**BY_KEY, "username": "ada"}, {**BY_KEY, "api_key": "1-x"}, {**BY_PASSWORD, "password": "x"},
                      {"mechanism": "TOKEN_PLAIN", "token": "x"}):  # fmt: skip
            assert await client.call("auth.login_ex", wrong) == AUTH_ERR
        assert await is_logged_out(client)
        for right, name in ((BY_KEY, "truenas_admin"), (BY_PASSWORD, "ada")):
            reply = await client.call("auth.login_ex", {**right, "login_options": {"user_info": True}})
            assert reply.pop("user_info") == await client.call("auth.me")
            assert reply == {"response_type": "SUCCESS", "authenticator": "LEVEL_1", **reconnect}
            assert (await client.call("auth.me"))["pw_name"] == name
            reply = await client.call("auth.login_ex", {**right, "login_options": {"user_info": False}})
            assert reply == {"response_type": "SUCCESS", "user_info": None, "authenticator": "LEVEL_1", **reconnect}
        token = {"mechanism": "TOKEN_PLAIN", "token": await client.call("auth.generate_token")}
        reply = await (await served.dial()).call("auth.login_ex", token)
        assert (reply["response_type"], reply["user_info"]["pw_name"]) == ("SUCCESS", "ada")
        asked = await client.call("auth.login_ex", EVES_PASSWORD)
        assert asked == {"response_type": "OTP_REQUIRED", "username": "eve"}
        served.clock.now = OTP_TIME
        reply = await client.call("auth.login_ex", OTP)
        assert (reply["response_type"], reply["user_info"]["pw_name"]) == ("SUCCESS", "eve")
        error = await client.refused("auth.login_ex", OTP)
        assert (error.code, error.reason) == (-32001, "[EINVAL] OTP_TOKEN: no authentication in progress")


@pytest.mark.row("3 auth.login_ex")
@pytest.mark.parametrize(("version", "answer"), [("25.10", "AUTH_ERR"), ("26.0", "DENIED")])
async def test_an_account_without_roles_has_no_access(version: str, answer: str) -> None:
    async with serving(accounts=(account("guest"),), version=version) as served:
        client = await served.dial()
        login = {"mechanism": "PASSWORD_PLAIN", "username": "guest", "password": "guest"}
        assert await client.call("auth.login_ex", login) == {"response_type": answer}
        assert await client.call("auth.login_ex", {**login, "password": "x"}) == AUTH_ERR
        assert await client.call("auth.login", "guest", "guest") is False
        assert await is_logged_out(client)


@pytest.mark.row("3 auth.login_ex")
async def test_an_expired_key_is_told_from_a_wrong_one() -> None:
    async with serving() as served:
        admin, client = await served.dial(key=KEY), await served.dial()
        ends = {"$date": int(served.clock.now * 1000) + 60_000}
        new = {"name": "short", "username": "truenas_admin", "expires_at": ends}
        key = await admin.call("api_key.create", new)
        login = {**BY_KEY, "api_key": key["key"]}
        assert (await client.call("auth.login_ex", login))["response_type"] == "SUCCESS"
        await client.call("auth.logout")
        served.clock.now += 60
        assert await client.call("auth.login_ex", login) == EXPIRED
        assert await client.call("auth.login_with_api_key", key["key"]) is False
        assert await client.call("auth.login_ex", {**login, "api_key": key["key"][:-1]}) == AUTH_ERR


@pytest.mark.row("3 auth.login_ex_continue")
@pytest.mark.parametrize(("version", "again"), [("25.10", 3), ("26.0", 0)])
async def test_the_second_factor_completes_the_login(version: str, again: int) -> None:
    async with serving(accounts=(EVE,), version=version) as served:
        served.clock.now = OTP_TIME
        client = await served.dial()
        asked = {"response_type": "OTP_REQUIRED", "username": "eve"}
        assert (await client.refused("auth.login_ex_continue", OTP)).data["errname"] == "EINVAL"
        assert await client.call("auth.login_ex", EVES_PASSWORD) == asked
        assert await is_logged_out(client)
        assert (await client.call("auth.login_ex_continue", OTP))["response_type"] == "SUCCESS"
        (row,) = await client.call("auth.sessions")
        assert row["credentials"] == "LOGIN_TWOFACTOR"
        assert (await client.call("auth.me"))["account_attributes"] == ["LOCAL", "2FA"]
        other = await served.dial()
        assert await other.call("auth.login_ex", EVES_PASSWORD) == asked
        for _ in range(again):
            assert await other.call("auth.login_ex_continue", WRONG_OTP) == asked
        assert await other.call("auth.login_ex_continue", WRONG_OTP) == AUTH_ERR
        assert (await other.refused("auth.login_ex_continue", OTP)).data["error"] == 22
        assert await other.call("auth.login_ex", EVES_PASSWORD) == asked
        assert await other.call("auth.login_ex", {**BY_KEY, "api_key": "1-x"}) == AUTH_ERR  # gives up the attempt
        assert (await other.refused("auth.login_ex_continue", OTP)).data["error"] == 22
        assert (await other.refused("auth.login_ex_continue", BY_KEY)).code == -32602


@pytest.mark.row("3 auth.mechanism_choices")
@pytest.mark.parametrize(("version", "more"), [("25.04", []), ("25.10", []), ("26.0", ["SCRAM"])])
async def test_the_mechanisms_of_a_release_and_of_a_level(version: str, more: list[str]) -> None:
    async with serving(version=version) as served:
        client = await served.dial()
        choices = await client.call("auth.mechanism_choices")
        assert choices == ["API_KEY_PLAIN", "TOKEN_PLAIN", "PASSWORD_PLAIN", *more]
    async with serving(version=version, authenticator_level="LEVEL_2", accounts=(ADA, EVE)) as served:
        served.clock.now = OTP_TIME
        client = await served.dial()
        assert await client.call("auth.mechanism_choices") == ["PASSWORD_PLAIN", *more]
        error = await client.refused("auth.login_ex", BY_KEY)
        assert (error.data["error"], error.data["reason"].partition("] ")[2]) == (
            95, "API_KEY_PLAIN: mechanism is not supported at current authenticator level.",
        )  # fmt: skip
        assert (await client.refused("auth.login_with_api_key", KEY)).data["error"] == 95
        assert await client.call("auth.login_ex", BY_PASSWORD) == AUTH_ERR  # without a second factor
        await client.call("auth.login_ex", EVES_PASSWORD)
        assert (await client.call("auth.login_ex_continue", OTP))["authenticator"] == "LEVEL_2"
        assert (await client.refused("auth.generate_token")).data["error"] == 95
        assert len(await client.call("auth.generate_token", 600, {}, True, True)) == 64


@pytest.mark.row("3 auth.generate_token")
async def test_a_token_lives_and_is_used_as_it_was_made() -> None:
    async with serving() as served:
        maker = await served.dial(key=KEY)
        plain = await maker.call("auth.generate_token")
        same = await maker.call("auth.generate_token", 600, {}, True, False)
        once = await maker.call("auth.generate_token", None, {}, True, True)
        brief = await maker.call("auth.generate_token", 0)
        upload = await maker.call("auth.generate_token", 600, {"filename": "x"})
        assert all(type(text) is str and len(text) == 64 for text in (plain, same, once, brief, upload))
        tokens = served.nas.tokens._tokens
        assert [tokens[text].ttl_s for text in (plain, same, once)] == [600, 600, 600]
        assert [tokens[text].match_origin for text in (plain, same)] == [True, True]
        tried = [
            await (await served.dial()).call("auth.login_with_token", text) for text in (once, once, brief, upload)
        ]
        assert tried == [True, False, False, False]
        tokens[same].address = "192.0.2.1"
        assert await (await served.dial()).call("auth.login_with_token", same) is False
        anywhere = await maker.call("auth.generate_token", 600, {}, False)
        served.nas.tokens._tokens[anywhere].address = "192.0.2.1"
        assert await (await served.dial()).call("auth.login_with_token", anywhere) is True
        error = await maker.refused("auth.generate_token", 600, {"job": 77})
        assert error.reason == "[EFAULT] 77: job does not exist."
        job = await maker.call("core.bulk", "core.ping", [[]])
        error = await maker.refused("auth.generate_token", 600, {"job": job})
        assert error.reason == f"[EFAULT] {job}: job is not suitable for download token"


@pytest.mark.row("3 auth.me")
async def test_me_shows_the_account_its_roles_and_its_attributes() -> None:
    reader = account("reader", "DATASET_READ", "SNAPSHOT_WRITE")
    async with serving(accounts=(reader,)) as served:
        admin, client = await served.dial(key=KEY), await served.dial("reader")
        me = await admin.call("auth.me")
        roles = me["privilege"].pop("roles")["$set"]
        assert roles == sorted(roles)
        assert {"FULL_ADMIN", "READONLY_ADMIN", "SHARING_ADMIN", "DATASET_WRITE"} <= set(roles)
        assert me == {
            "pw_name": "truenas_admin", "pw_gecos": "", "pw_dir": "/var/empty", "pw_shell": "/usr/sbin/nologin",
            "pw_uid": 950, "pw_gid": 950, "grouplist": [544, 950], "sid": None, "source": "LOCAL", "local": True,
            "attributes": {}, "account_attributes": ["SYS_ADMIN", "LOCAL", "API_KEY"],
            "two_factor_config": {
                "provisioning_uri": None, "secret_configured": False, "interval": 30, "otp_digits": 6,
            },
            "privilege": {
                "allowlist": [{"method": "*", "resource": "*"}], "web_shell": True, "webui_access": True,
            },
        }  # fmt: skip
        assert await client.call("auth.set_attribute", "theme", {"dark": True}) is None
        assert await client.call("auth.set_attribute", "n", 1) is None
        me = await client.call("auth.me")
        assert (me["attributes"], me["account_attributes"]) == ({"theme": {"dark": True}, "n": 1}, ["LOCAL"])
        assert me["privilege"]["roles"] == {"$set": ["DATASET_READ", "SNAPSHOT_READ", "SNAPSHOT_WRITE"]}
        assert {"method": "CALL", "resource": "pool.dataset.query"} in me["privilege"]["allowlist"]
        assert {"method": "CALL", "resource": "pool.dataset.create"} not in me["privilege"]["allowlist"]
        assert me["privilege"]["web_shell"] is False
        assert (await admin.call("auth.me"))["attributes"] == {}


@pytest.mark.row("3 auth.logout")
async def test_logout_ends_login_and_subscriptions_but_not_the_connection() -> None:
    async with serving() as served:
        client, other = await served.dial(key=KEY), await served.dial(key=KEY)
        await client.call("core.subscribe", "pool.dataset.query")
        assert await client.call("auth.logout") is True
        assert await is_logged_out(client)
        await other.call("pool.dataset.create", {"name": "tank/a"})
        assert await client.call("auth.login_with_api_key", KEY) is True
        await other.call("pool.dataset.create", {"name": "tank/b"})
        assert await client.call("core.ping") == "pong"
        assert client.events.empty()  # a new login does not bring subscriptions back
        await client.call("core.subscribe", "pool.dataset.query")
        await other.call("pool.dataset.create", {"name": "tank/c"})
        assert (await client.events.get())["params"]["id"] == "tank/c"


@pytest.mark.row("3 auth.sessions")
async def test_sessions_are_listed_announced_and_terminated() -> None:
    async with serving() as served:
        client = await served.dial(key=KEY)
        await client.call("core.subscribe", "auth.sessions")
        other, third = await served.dial(key=KEY), await served.dial(key=KEY)
        rows = await client.call("auth.sessions", [], {"order_by": ["-current"]})
        host, port = client.socket.local_address
        login = {"$date": 1_700_000_000_000}
        data = {"username": "truenas_admin", "login_at": login, "api_key": {"id": 1, "name": "key 1"}}
        assert rows[0] == {
            "id": rows[0]["id"], "current": True, "internal": False, "origin": f"{host}:{port}",
            "credentials": "API_KEY", "credentials_data": data, "created_at": login, "secure_transport": True,
        }  # fmt: skip
        assert await client.call("auth.sessions", [["current", "=", False]], {"count": True}) == 2
        added = [(await client.events.get())["params"] for _ in range(2)]
        fields = {"msg": "added", "collection": "auth.sessions", "id": rows[1]["id"], "fields": rows[1]}
        assert added[0] == fields
        assert await client.call("auth.terminate_session", rows[1]["id"]) is True
        assert await client.call("auth.terminate_session", rows[1]["id"]) is False
        assert await client.call("auth.terminate_session", "none") is False
        removed = (await client.events.get())["params"]
        assert (removed["msg"], removed["id"], removed["fields"]) == ("removed", rows[1]["id"], {"id": rows[1]["id"]})
        assert await is_logged_out(other)
        assert await client.call("auth.terminate_other_sessions") is True
        assert await is_logged_out(third)
        assert (await client.events.get())["params"]["id"] == rows[2]["id"]
        assert [row["current"] for row in await client.call("auth.sessions")] == [True]


@pytest.mark.row("3 auth.sessions")
async def test_from_26_0_on_a_login_has_an_id_and_can_be_had_again_by_a_token() -> None:
    async with serving(version="26.0") as served:
        client, again = await served.dial(), await served.dial()
        options = {"user_info": False, "reconnect_token": True}
        reply = await client.call("auth.login_ex", {**BY_KEY, "login_options": options})
        assert await again.call("auth.login_with_token", reply["reconnect_token"]) is True
        assert await again.call("auth.login_with_token", reply["reconnect_token"]) is False
        rows = await client.call("auth.sessions")
        ids = [row["credentials_data"]["login_id"] for row in rows]
        assert (len(set(ids)), {len(login_id) for login_id in ids}) == (2, {36})


@pytest.mark.row("3 role failure")
async def test_a_missing_role_is_refused_with_eacces_everywhere() -> None:
    accounts = (account("reader", "READONLY_ADMIN"), account("sharer", "SHARING_ADMIN"),
                account("snapper", "SNAPSHOT_READ", "SNAPSHOT_DELETE"))  # fmt: skip
    async with serving(accounts=accounts) as served:
        admin = await served.dial(key=KEY)
        reader, sharer, snapper = [await served.dial(one.name) for one in accounts]
        error = await reader.refused("pool.dataset.create", {"name": "tank/x"})
        assert (error.code, error.message) == (-32001, "Method call error")
        shown = (error.data["error"], error.data["errname"], error.reason)
        assert shown == (13, "EACCES", "[EACCES] Not authorized")
        assert len(await reader.call("pool.dataset.query")) == 1
        await sharer.call("pool.dataset.create", {"name": "tank/x"})
        await sharer.call("sharing.nfs.create", {"path": "/mnt/tank/x"})
        assert (await sharer.refused("pool.dataset.delete", "tank/x")).data["error"] == 13
        await admin.call("pool.snapshot.create", {"dataset": "tank/x", "name": "s"})
        assert (await snapper.refused("pool.snapshot.create", {"dataset": "tank/x", "name": "t"})).data["error"] == 13
        assert await snapper.call("pool.snapshot.delete", "tank/x@s") is True
        assert (await snapper.refused("pool.dataset.query")).data["error"] == 13
        assert (await snapper.refused("core.subscribe", "pool.dataset.query")).reason == "[EACCES] Not authorized"
        assert (await reader.refused("core.subscribe", "auth.sessions")).data["error"] == 13
        assert len(await snapper.call("core.subscribe", "pool.snapshot.query")) == 36
        await snapper.call("core.set_options", {"legacy_jobs": False})
        error = await snapper.refused("core.bulk", "pool.dataset.delete", [["tank/x"]])
        assert error.reason == "[EPERM] Not authorized"
        assert len(await admin.call("pool.dataset.query")) == 2
        token = await reader.call("auth.generate_token")
        heir = await served.dial()
        assert await heir.call("auth.login_with_token", token) is True
        assert (await heir.refused("pool.dataset.delete", "tank/x")).data["error"] == 13


@pytest.mark.row("3 role failure")
async def test_a_key_can_do_what_its_account_can() -> None:
    async with serving(accounts=(account("reader", "READONLY_ADMIN"),)) as served:
        admin, reader = await served.dial(key=KEY), await served.dial("reader")
        key = (await admin.call("api_key.create", {"name": "r", "username": "reader"}))["key"]
        client = await served.dial(key=key)
        assert len(await client.call("pool.query")) == 1
        assert (await client.refused("pool.dataset.create", {"name": "tank/x"})).data["error"] == 13
        assert (await client.refused("auth.terminate_other_sessions")).data["error"] == 13
        own = await reader.call("api_key.create", {"name": "own", "username": "reader"})
        assert [row["name"] for row in await reader.call("api_key.my_keys")] == ["r", "own"]
        error = await reader.refused("api_key.create", {"name": "x", "username": "truenas_admin"})
        text = "reader: authenticated user lacks privileges to create or modify API keys of other users."
        assert error.reason == f"[EACCES] {text}"
        assert (await reader.refused("api_key.delete", 1)).data["error"] == 13
        assert await reader.call("api_key.delete", own["id"]) is True


@pytest.mark.row("3 session loss")
async def test_whatever_ends_a_session_leaves_its_socket_open() -> None:
    async with serving(accounts=(ADA,)) as served:
        admin = await served.dial(key=KEY)
        keys = [await admin.call("api_key.create", {"name": name, "username": "ada"}) for name in ("deleted", "reset")]
        by_deleted, by_reset = [await served.dial(key=key["key"]) for key in keys]
        heir, left, old, terminated = [await served.dial() for _ in range(4)]
        await heir.call("auth.login_with_token", await by_deleted.call("auth.generate_token"))
        unused = await by_deleted.call("auth.generate_token")
        assert await admin.call("api_key.delete", keys[0]["id"]) is True
        await admin.call("api_key.update", keys[1]["id"], {"reset": True})
        for client in (by_deleted, by_reset, heir):
            assert await is_logged_out(client)
        assert await left.call("auth.login_with_token", unused) is False
        for client in (left, old, terminated):
            await client.call("auth.login", "ada", "engine")
        await left.call("auth.logout")
        sessions = {session.port: session for session in served.nas.sessions.values()}
        aged = sessions[old.socket.local_address[1]].credentials
        now = asyncio.get_running_loop().time()
        assert now + 30 * 86400 - 60 < aged.ends_at <= now + 30 * 86400
        aged.ends_at = now - 1
        await admin.call("auth.terminate_session", sessions[terminated.socket.local_address[1]].id)
        for client in (left, old, terminated):
            assert await is_logged_out(client)
            assert await client.call("auth.login", "ada", "engine") is True
            assert len(await client.call("pool.query")) == 1
        served.nas.invalidate_sessions()  # as a restart of the middleware behind the proxy
        for client in (admin, left, old, terminated):
            assert await is_logged_out(client)


@pytest.mark.row("3 second login")
async def test_a_second_login_on_the_same_socket_replaces_the_first() -> None:
    async with serving(accounts=(ADA,)) as served:
        client = await served.dial(key=KEY)
        await client.call("core.subscribe", "pool.dataset.query")
        assert await client.call("auth.login", "ada", "engine") is True
        assert (await client.call("auth.me"))["pw_name"] == "ada"
        assert await client.call("auth.login_with_api_key", "1-wrong") is False
        assert (await client.call("auth.me"))["pw_name"] == "ada"
        (row,) = await client.call("auth.sessions")
        assert (row["credentials"], row["credentials_data"]["username"]) == ("LOGIN_PASSWORD", "ada")
        await client.call("pool.dataset.create", {"name": "tank/a"})
        assert (await client.events.get())["params"]["id"] == "tank/a"


@pytest.mark.row("3 rate limit")
async def test_the_21st_call_of_a_method_before_a_login_is_busy() -> None:
    assert RateLimit() == RateLimit(calls=20, window_s=60.0, entries=100, delay_s=(1.0, 10.0))
    async with serving(rate_limit=RateLimit(delay_s=(0.05, 0.05))) as served:
        client, logged_in = await served.dial(), await served.dial(key=KEY)
        assert [await client.call("core.ping") for _ in range(20)] == ["pong"] * 20
        refused = await client.start("core.ping")
        assert [await client.call("auth.login_with_token", "x") for _ in range(20)] == [False] * 20  # per method
        assert [await logged_in.call("core.ping") for _ in range(30)] == ["pong"] * 30
        assert not refused.done() or "error" in await refused
        error = (await refused)["error"]
        assert (error["code"], error["data"]["error"], error["data"]["reason"]) == (
            -32001, 16, "[EBUSY] Rate Limit Exceeded",
        )  # fmt: skip
        again = await served.dial()  # a reconnect does not help: it is by address
        assert (await again.refused("core.ping")).data["errname"] == "EBUSY"
        for _ in range(30):
            await again.call("core.set_options", {})
    full = RateLimit(entries=3, delay_s=(0.0, 0.0))
    async with serving(rate_limit=full) as served:
        client = await served.dial()
        assert await client.call("core.ping") == "pong"
        assert await client.call("system.ready") is True
        assert (await client.refused("auth.login_with_token", "x")).data["error"] == 16
        assert (await client.refused("core.ping")).data["error"] == 16


@pytest.mark.row("3 insecure transport")
@pytest.mark.parametrize(("version", "later"), [("25.10", "EXPIRED"), ("26.0", "AUTH_ERR")])
async def test_a_key_sent_over_an_insecure_transport_is_revoked_for_good(
    version: str, later: str, tmp_path: Any
) -> None:
    async with serving(data_dir=tmp_path, version=version) as served:
        admin, client = await served.dial(key=KEY), await served.dial()
        key = await admin.call("api_key.create", {"name": "k", "username": "truenas_admin"})
        await admin.call("core.subscribe", "api_key.query")
        user = await served.dial(key=key["key"])
        login = {**BY_KEY, "api_key": key["key"]}
        sessions = {session.port: session for session in served.nas.sessions.values()}
        sessions[client.socket.local_address[1]].secure = False
        wrong = {**login, "api_key": key["key"][:-1]}
        assert await client.call("auth.login_ex", wrong) == AUTH_ERR
        assert (await admin.call("api_key.get_instance", key["id"]))["revoked"] is False
        assert await client.call("auth.login_ex", login) == EXPIRED
        assert await is_logged_out(client)
        assert await is_logged_out(user)
        event = (await admin.events.get())["params"]
        assert (event["msg"], event["id"], event["fields"]["revoked"]) == ("changed", key["id"], True)
        assert await user.call("auth.login_ex", login) == {"response_type": later}
        assert await user.call("auth.login_with_api_key", key["key"]) is False
        assert await client.call("auth.login_with_api_key", KEY) is False  # the first one is gone now too
        assert await admin.call("core.ping") == "pong"
        assert await is_logged_out(admin)
    async with serving(data_dir=tmp_path, version=version) as served:
        client = await served.dial()
        assert await client.call("auth.login_ex", login) == {"response_type": later}
        assert await client.call("auth.login_with_api_key", KEY) is False
        rows = await served.nas.call("api_key.query")
        assert {row["revoked_reason"] for row in rows} == {"Attempt to use over an insecure transport"}
        fresh = await served.nas.call("api_key.update", key["id"], {"reset": True})
        assert await client.call("auth.login_with_api_key", fresh["key"]) is True


@pytest.mark.row("12 login_with_api_key")
@pytest.mark.parametrize("version", ["25.04", "25.10", "26.0"])
async def test_every_release_with_json_rpc_takes_a_plain_key(version: str) -> None:
    async with serving(version=version) as served:
        client = await served.dial()
        assert await client.call("auth.login_with_api_key", KEY) is True


@pytest.mark.row("12 SCRAM login")
@pytest.mark.row("12 login_with_api_key")
async def test_24_10_takes_a_plain_key_on_its_own_protocol_and_has_no_scram() -> None:
    config = NasConfig(api_key=KEY, version="24.10", login_failure_delay_s=(0.0, 0.0))
    nas = Nas(config, rng=random.Random(7), clock=Clock())
    server = await nas.serve("127.0.0.1", 0)
    async with connect(f"ws://127.0.0.1:{server.port}/websocket", proxy=None) as socket:
        await socket.send('{"msg": "connect", "version": "1", "support": ["1"]}')
        assert '"connected"' in str(await socket.recv())
        await socket.send(f'{{"msg": "method", "method": "auth.login_with_api_key", "id": "a", "params": ["{KEY}"]}}')
        assert '"result":true' in str(await socket.recv())
        await socket.send('{"msg": "method", "method": "auth.mechanism_choices", "id": "b"}')
        assert '["API_KEY_PLAIN","TOKEN_PLAIN","PASSWORD_PLAIN"]' in str(await socket.recv())
    await server.close()
    nas.close()


@pytest.mark.row("12 SCRAM login")
async def test_scram_logs_in_without_sending_the_key_even_where_somebody_listens() -> None:
    async with serving(version="26.0", accounts=(ADA,)) as served:
        client = await served.dial()
        next(iter(served.nas.sessions.values())).secure = False
        scram = ScramClient("truenas_admin", KEY)
        reply = await client.call("auth.login_ex", scram.first())
        server_first = reply.pop("rfc_str")
        assert reply == {"response_type": "SCRAM_RESPONSE", "scram_type": "SERVER_FIRST_RESPONSE", "user_info": None}
        assert await is_logged_out(client)
        reply = await client.call("auth.login_ex", scram.final(server_first))
        assert (reply["response_type"], reply["scram_type"]) == ("SCRAM_RESPONSE", "SERVER_FINAL_RESPONSE")
        assert scram.trusts(reply["rfc_str"])
        assert reply["user_info"] == await client.call("auth.me")
        assert (await client.call("api_key.query"))[0]["revoked"] is False
        key = (await client.call("api_key.create", {"name": "adas", "username": "ada"}))["key"]
        other = await served.dial()
        for wrong in (ScramClient("ada", KEY), ScramClient("truenas_admin", key), ScramClient("ada", f"9{key[1:]}")):
            assert await other.call("auth.login_ex", wrong.first()) == AUTH_ERR
        for wrong in (ScramClient("ada", f"{key}x"), ScramClient("truenas_admin", KEY[:-1])):
            first = (await other.call("auth.login_ex", wrong.first()))["rfc_str"]
            assert await other.call("auth.login_ex", wrong.final(first)) == AUTH_ERR
        right = ScramClient("ada", key)
        final = right.final((await other.call("auth.login_ex", right.first()))["rfc_str"])
        assert right.trusts((await other.call("auth.login_ex", final))["rfc_str"])
        assert (await other.call("auth.me"))["pw_name"] == "ada"
        error = await other.refused("auth.login_ex", final)  # nothing can be replayed
        assert error.reason == "[EFAULT] SCRAM authentication is not in progress"


@pytest.mark.row("12 SCRAM login")
async def test_over_tls_scram_can_be_bound_to_the_certificate(tmp_path: Path) -> None:
    context = self_signed(tmp_path, "127.0.0.1", datetime.now(UTC))
    trusting = create_default_context(cafile=str(tmp_path / CERTIFICATE_FILE))
    async with serving(version="26.0") as served:
        server = await served.nas.serve("127.0.0.1", 0, context)
        over_tls = Client(await connect(server.url, proxy=None, ssl=trusting))
        shown = over_tls.socket.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        binding, plain = hashlib.sha256(shown).digest(), await served.dial()  # its signature is ECDSA with SHA-256
        for client, header, bound_to, right in (
            (over_tls, "p=tls-server-end-point", bytes(32), False),  # of somebody in between
            (over_tls, "p=tls-unique", binding, False),
            (over_tls, "y", b"", False),
            (plain, "p=tls-server-end-point", binding, False),
            (over_tls, "n", b"", True),
            (over_tls, "p=tls-server-end-point", binding, True),
        ):
            scram = ScramClient("truenas_admin", KEY, header=header, binding=bound_to)
            first = await client.call("auth.login_ex", scram.first())
            assert first["scram_type"] == "SERVER_FIRST_RESPONSE"
            reply = await client.call("auth.login_ex", scram.final(first["rfc_str"]))
            assert (reply != AUTH_ERR) is right, (header, reply)
            assert not right or scram.trusts(reply["rfc_str"])
        await over_tls.close()
        await server.close()


@pytest.mark.row("12 SCRAM login")
@pytest.mark.parametrize("version", ["25.04", "25.10"])
async def test_before_26_0_there_is_no_scram(version: str) -> None:
    async with serving(version=version) as served:
        client = await served.dial()
        error = await client.refused("auth.login_ex", ScramClient("truenas_admin", KEY).first())
        expected = "Input should be 'API_KEY_PLAIN', 'PASSWORD_PLAIN', 'TOKEN_PLAIN' or 'OTP_TOKEN'"
        assert error.items == [("login_data.mechanism", expected, 22)]
