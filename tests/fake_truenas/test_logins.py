"""Logins: what runs side by side, what is never shown, and which answer each release gives."""

import asyncio
import base64
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fake_truenas.logins import ADA, EVE, OTP_CODE, OTP_SECRET, OTP_TIME, ScramClient, serving
from tests.fake_truenas.rpc import KEY

BY_KEY = {"mechanism": "API_KEY_PLAIN", "username": "truenas_admin", "api_key": KEY}
EVES_PASSWORD = {"mechanism": "PASSWORD_PLAIN", "username": "eve", "password": "snake"}


async def test_guesses_of_a_code_that_run_side_by_side_count_all() -> None:
    async with serving(accounts=(EVE,), login_failure_delay_s=(0.02, 0.02)) as served:
        served.clock.now = OTP_TIME
        client = await served.dial()
        await client.call("auth.login_ex", EVES_PASSWORD)
        wrong = {"mechanism": "OTP_TOKEN", "otp_token": "000000"}
        guesses = [await client.start("auth.login_ex_continue", wrong) for _ in range(8)]
        replies = await asyncio.gather(*guesses)
        answers = [reply["result"]["response_type"] if "result" in reply else "REFUSED" for reply in replies]
        assert sorted(answers) == ["AUTH_ERR", *["OTP_REQUIRED"] * 3, *["REFUSED"] * 4]
        right = {"mechanism": "OTP_TOKEN", "otp_token": OTP_CODE}
        assert (await client.refused("auth.login_ex_continue", right)).data["error"] == 22


async def test_a_failed_login_changes_nothing_for_who_is_logged_in() -> None:
    async with serving(accounts=(ADA, EVE)) as served:
        client = await served.dial(key=KEY)
        await client.call("auth.login_ex", {**EVES_PASSWORD, "password": "x"})
        await client.call("auth.login_ex", EVES_PASSWORD)  # half a login is none
        assert (await client.call("auth.me"))["pw_name"] == "truenas_admin"


async def test_a_logout_gives_up_half_a_login() -> None:
    async with serving(accounts=(EVE,)) as served:
        served.clock.now = OTP_TIME
        client = await served.dial(key=KEY)
        await client.call("auth.login_ex", EVES_PASSWORD)
        await client.call("auth.logout")
        right = {"mechanism": "OTP_TOKEN", "otp_token": OTP_CODE}
        assert (await client.refused("auth.login_ex_continue", right)).data["error"] == 22


async def test_a_login_lapses_when_it_is_not_used_at_the_second_level() -> None:
    async with serving(accounts=(EVE,), authenticator_level="LEVEL_2") as served:
        served.clock.now = OTP_TIME
        client = await served.dial()
        assert await client.call("auth.login", "eve", "snake", OTP_CODE) is True
        (session,) = served.nas.sessions.values()
        assert session.credentials is not None
        session.credentials.used_at -= 1790
        assert len(await client.call("pool.query")) == 1
        session.credentials.used_at -= 1801
        assert (await client.refused("pool.query")).data["error"] == 207


async def test_keys_pass_an_insecure_transport_if_they_may() -> None:
    async with serving(insecure_keys=True) as served:
        client = await served.dial()
        (session,) = served.nas.sessions.values()
        session.secure = False
        assert await client.call("auth.login_with_api_key", KEY) is True
        (row,) = await client.call("auth.sessions")
        assert row["secure_transport"] is False
        assert (await client.call("api_key.query"))[0]["revoked"] is False


async def test_a_key_revoked_while_scram_is_under_way_does_not_log_in() -> None:
    async with serving(version="26.0") as served:
        admin, client = await served.dial(key=KEY), await served.dial()
        made = await admin.call("api_key.create", {"name": "n", "username": "truenas_admin"})
        for change in ("reset", "delete"):
            scram = ScramClient("truenas_admin", made["key"])
            first = (await client.call("auth.login_ex", scram.first()))["rfc_str"]
            if change == "reset":
                made = await admin.call("api_key.update", made["id"], {"reset": True})
            else:
                await admin.call("api_key.delete", made["id"])
            assert await client.call("auth.login_ex", scram.final(first)) == {"response_type": "AUTH_ERR"}


async def test_the_client_key_that_create_gives_is_what_scram_proves() -> None:
    async with serving(version="26.0") as served:
        admin, client = await served.dial(key=KEY), await served.dial()
        made = await admin.call("api_key.create", {"name": "n", "username": "truenas_admin"})
        scram = ScramClient("truenas_admin", made["key"])
        final = scram.final((await client.call("auth.login_ex", scram.first()))["rfc_str"])
        assert scram.trusts((await client.call("auth.login_ex", final))["rfc_str"])
        assert base64.b64encode(scram.client_key).decode() == made["client_key"]


@pytest.mark.parametrize("version", ["25.10", "26.0"])
async def test_no_secret_is_shown_anywhere(version: str, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="websockets")  # as the command does
    calls: list[Any] = []

    async def watch(call: Any, proceed: Any) -> Any:
        calls.append(call)
        return await proceed()

    async with serving(accounts=(ADA, EVE), version=version, data_dir=tmp_path) as served:
        served.nas.intercept = watch
        served.clock.now = OTP_TIME
        client, other = await served.dial(key=KEY), await served.dial()
        made = await client.call("api_key.create", {"name": "n", "username": "ada"})
        token = await client.call("auth.generate_token")
        secrets = [KEY, KEY[2:], made["key"], made["key"][2:], token, "engine", "snake", OTP_CODE]
        secrets += [OTP_SECRET.decode(), base64.b32encode(OTP_SECRET).decode(), "hunter2"]
        shown = [await other.call("auth.login_ex", {**BY_KEY, "api_key": f"{KEY}hunter2"})]
        shown += [await other.call("auth.login_ex", EVES_PASSWORD)]
        if version == "26.0":
            scram = ScramClient("ada", made["key"])
            first = (await other.call("auth.login_ex", scram.first()))["rfc_str"]
            proof = scram.final(first)["rfc_str"]
            shown += [await other.call("auth.login_ex", {**scram.final(first), "rfc_str": f"{proof}hunter2"})]
            secrets += [proof.rpartition("p=")[2]]
        for method, params in (
            ("auth.login_ex", [{**BY_KEY, "hunter": KEY}]),
            ("auth.login_ex", [{**BY_KEY, "mechanism": KEY}]),
            ("auth.login_ex", [KEY]),
            ("auth.login_ex", [{**EVES_PASSWORD, "password": ["snake"]}]),
            ("auth.login", ["ada", "engine" * 200]),
            ("auth.login", ["ada", "engine", ["hunter2"]]),
            ("auth.login_with_token", [token, "more"]),
            ("auth.login_with_api_key", [[KEY]]),
            ("auth.login_ex_continue", [{"mechanism": "OTP_TOKEN", "otp_token": OTP_CODE}]),
        ):
            if method != "auth.login_ex_continue" or version != "25.10":
                shown += [(await other.refused(method, *params)).data]
        for method, params in (
            ("auth.login", ["ada", "hunter2"]), ("auth.login_with_api_key", [KEY]), ("auth.login_with_token", [token]),
            ("auth.login_ex", [BY_KEY]), ("api_key.create", [{"name": "bulk", "username": "ada"}]),
        ):  # fmt: skip
            await client.call("core.job_wait", await client.call("core.bulk", method, [params]))
        for method in ("core.get_jobs", "auth.sessions", "api_key.query", "api_key.my_keys", "auth.me"):
            shown += [await client.call(method)]
        internals = [served.nas.config, *calls, *[session.credentials for session in served.nas.sessions.values()]]
        internals += [session.attempt for session in served.nas.sessions.values()]
        assert sum(job["method"] == "core.bulk" for job in shown[-5]) == 5
    texts = [orjson.dumps(shown).decode(), repr(internals), caplog.text]
    texts += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    for secret in secrets:
        assert [secret in text for text in texts] == [False] * len(texts), secret
