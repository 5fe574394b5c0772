"""Tokens of each release, attributes that last, and calls from inside of the process."""

import random
from pathlib import Path

import pytest

from fake_truenas import Nas, NasConfig
from tests.fake_truenas.logins import ADA, serving
from tests.fake_truenas.rpc import KEY, Clock, make_nas


@pytest.mark.parametrize(("version", "bound"), [("24.10", False), ("25.04", True), ("26.0", True)])
async def test_tokens_are_for_their_address_unless_the_release_is_old(version: str, bound: bool) -> None:
    nas = Nas(NasConfig(api_key=KEY, version=version), rng=random.Random(7), clock=Clock())
    session = nas.open_session(None)  # type: ignore[arg-type] - nothing is sent
    session.address = "192.0.2.1"
    await nas.apply(session, "auth.login_with_api_key", [KEY])
    token = await nas.apply(session, "auth.generate_token", [])
    assert nas.tokens._tokens[token].match_origin is bound
    nas.close()


def test_attributes_outlast_a_restart(tmp_path: Path) -> None:
    nas = make_nas(tmp_path)
    nas.call_direct("auth.set_attribute", "theme", "dark")
    nas.close()
    nas = make_nas(tmp_path)
    assert nas.call_direct("auth.me")["attributes"] == {"theme": "dark"}
    nas.close()


async def test_attributes_are_those_of_the_account_however_it_logged_in() -> None:
    async with serving(accounts=(ADA,)) as served:
        first, second, admin = await served.dial(), await served.dial(), await served.dial(key=KEY)
        await first.call("auth.login", "ada", "engine")
        await second.call("auth.login_with_token", await first.call("auth.generate_token"))
        await second.call("auth.set_attribute", "a", [1, None])
        assert (await first.call("auth.me"))["attributes"] == {"a": [1, None]}
        assert (await admin.call("auth.me"))["attributes"] == {}


def test_from_inside_of_the_process_one_is_root() -> None:
    nas = make_nas()
    me = nas.call_direct("auth.me")
    assert (me["pw_name"], me["pw_uid"], me["privilege"]["web_shell"]) == ("root", 0, True)
    nas.close()


@pytest.mark.parametrize("method", ["auth.logout", "auth.terminate_other_sessions"])
async def test_what_changes_sessions_cannot_be_rehearsed(method: str) -> None:
    async with serving() as served:
        client = await served.dial(key=KEY)
        session = next(iter(served.nas.sessions.values()))
        with pytest.raises(TypeError, match="cannot be rehearsed"):
            served.nas.rehearse(session, method, [])
        assert len(await client.call("pool.query")) == 1


@pytest.mark.parametrize(("method", "params"), [("api_key.delete", [1]), ("api_key.update", [1, {"reset": True}])])
async def test_a_rehearsed_call_logs_nobody_out(method: str, params: list[object]) -> None:
    async with serving() as served:
        client, other = await served.dial(key=KEY), await served.dial(key=KEY)
        session = next(iter(served.nas.sessions.values()))
        assert served.nas.rehearse(session, method, params)
        assert await served.dial(key=KEY)
        for one in (client, other):
            assert len(await one.call("pool.query")) == 1
