"""Logging in, losing the session, reconnecting."""

import asyncio
import logging
import random
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from csisim.errors import NasIndeterminate
from csisim.truenas.client import NasClient
from csisim.truenas.session import _SessionBackoff

LOGIN = "auth.login_with_api_key"


async def test_session_lost_on_a_live_socket_logs_in_again_once_and_repeats_the_calls(nas, client):
    nas.forget_logins()
    assert await asyncio.gather(*(client.call("echo", n) for n in range(16))) == [[n] for n in range(16)]
    assert nas.methods().count(LOGIN) == 2
    assert len(nas.sockets) == 1
    assert client.logins == 2


async def test_late_word_of_a_session_that_was_replaced_already_leads_to_no_further_login(nas, client):
    nas.handlers["m"] = nas.hold
    early = asyncio.create_task(client.call("m"))
    held = await nas.unanswered.get()
    nas.forget_logins()
    assert await client.call("echo", 1) == [1]
    await held.refuse(207, "[ENOTAUTHENTICATED] Not authenticated")
    await (await nas.unanswered.get()).reply("done")
    assert await early == "done"
    assert client.logins == 2


async def test_session_lost_soon_after_its_login_waits_before_the_next_login(nas, new_client):
    client = await new_client(backoff_s=60.0, backoff_max_s=60.0, stable_s=60.0)
    nas.forget_logins()
    with pytest.raises(NasIndeterminate, match="logging in again"):
        await client.call("echo", 1, timeout_s=0.1)
    assert nas.methods().count(LOGIN) == 1


async def test_nas_that_drops_every_session_is_not_flooded_with_logins(nas, client):
    nas.handlers["m"] = lambda call: call.refuse(207, "[ENOTAUTHENTICATED] Not authenticated")
    with pytest.raises(NasIndeterminate, match="ends the session after each login") as caught:
        await client.call("m")
    assert not caught.value.sent
    assert nas.methods().count("m") == 3


async def test_refused_relogin_drops_the_connection_and_tries_on_a_new_one(nas, client):
    nas.login_answers = [False]
    nas.forget_logins()
    assert await client.call("echo", 1) == [1]
    assert len(nas.sockets) == 2
    assert nas.methods().count(LOGIN) == 3


async def test_refused_key_is_said_but_never_shown_and_recovers_when_it_is_fixed(nas, new_client):
    nas.api_key = "another key"
    with capture_logs() as logs:
        client = await new_client(wait=False, wait_connected_s=0.1)
        with pytest.raises(NasIndeterminate, match="the API key was refused") as caught:
            await client.call("m")
    assert not caught.value.sent
    assert client._settings.api_key not in str(caught.value) + repr(logs) + repr(client._settings)
    assert any(log["event"] == "nas.disconnected" for log in logs)
    nas.api_key = client._settings.api_key
    assert await client.wait_connected(5.0)
    assert await client.call("echo", 1) == [1]


async def test_key_echoed_in_an_error_is_struck_out(nas, new_client):
    nas.login_answers = [lambda call: call.refuse(22, f"bad key {call.params[0]}")] * 1000
    with capture_logs() as logs:
        client = await new_client(wait=False, wait_connected_s=0.1)
        with pytest.raises(NasIndeterminate, match=r"bad key \*\*\*"):
            await client.call("m")
    assert client._settings.api_key not in repr(logs)


async def test_rate_limited_login_is_tried_again(nas, new_client):
    nas.login_answers = [lambda call: call.refuse(16, "[EBUSY] Rate Limit Exceeded")]
    client = await new_client()
    assert nas.methods() == [LOGIN, LOGIN]
    assert client.connected


async def test_connection_cut_during_login_is_tried_again(nas, new_client):
    async def cut(call):
        call.cut()

    nas.login_answers = [cut, cut]
    client = await new_client()
    assert len(nas.sockets) == 3
    assert client.connected


async def test_login_without_an_answer_is_given_up(nas, new_client):
    nas.login_answers = [nas.hold]
    await new_client(connect_timeout_s=0.1)
    assert nas.methods() == [LOGIN, LOGIN]


async def test_no_call_overtakes_a_slow_login(nas, new_client):
    async def slow(call):
        await asyncio.sleep(0.05)
        nas.logged_in.add(call.socket)
        await call.reply(True)

    nas.login_answers = [slow]
    client = await new_client(wait=False)
    assert await client.call("echo", 1) == [1]
    assert nas.methods() == [LOGIN, "echo"]


async def test_restart_of_the_nas_on_the_same_port_is_survived(nas, client):
    assert await client.call("echo", 1) == [1]
    await nas.stop()
    waiting = asyncio.create_task(client.call("echo", 2))
    await asyncio.sleep(0.05)
    assert not client.connected
    await nas.start()
    assert await waiting == [2]
    assert client.logins == 2


async def test_nas_that_comes_up_later_is_found(nas, new_client):
    port = nas.port
    await nas.stop()
    client = await new_client(wait=False)
    assert not await client.wait_connected(0.05)
    nas.port = port
    await nas.start()
    assert await client.wait_connected(5.0)


async def test_upgrade_refused_by_a_proxy_in_front_is_told(new_client):
    async def bad_gateway(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(bad_gateway, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        client = await new_client(wait=False, wait_connected_s=0.1, url=f"ws://127.0.0.1:{port}/api/current")
        with pytest.raises(NasIndeterminate, match="HTTP 502"):
            await client.call("m")


async def test_close_while_a_connection_attempt_hangs(new_client):
    async def say_nothing(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as mute:
        port = mute.sockets[0].getsockname()[1]
        client = await new_client(wait=False, url=f"ws://127.0.0.1:{port}/api/current")
        call = asyncio.create_task(client.call("m"))
        await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(NasIndeterminate, match="client is closed") as caught:
            await call
        assert not caught.value.sent


async def test_client_that_was_not_started_says_so(new_client):
    client = NasClient(replace((await new_client())._settings, wait_connected_s=0.01), rng=random.Random(1))
    with pytest.raises(NasIndeterminate, match="not started"):
        await client.call("m")
    await client.close()


async def test_defect_in_connecting_is_reported_to_the_callers(new_client):
    async def broken(*args, **kwargs):
        raise RuntimeError("a defect")

    settings = replace((await new_client())._settings, wait_connected_s=0.01)
    client = NasClient(settings, rng=random.Random(1), connect=broken)
    with capture_logs() as logs:
        await client.start()
        with pytest.raises(NasIndeterminate, match="RuntimeError"):
            await client.call("m")
        await client.close()
    assert [log["event"] for log in logs] == ["nas.keeper_failed"]


async def test_delays_double_to_a_limit_are_jittered_and_start_anew_after_a_session_that_lasted(new_client):
    settings = replace(
        (await new_client())._settings, backoff_s=1.0, backoff_max_s=8.0, backoff_refused_s=20.0, stable_s=5.0
    )
    backoff = _SessionBackoff(random.Random(5), settings)
    delays = [backoff.next_s() for _ in range(6)]
    for delay, ceiling in zip(delays, [1, 2, 4, 8, 8, 8], strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert len(set(delays)) == 6
    assert not backoff.lasted(4.9)
    assert backoff.next_s() >= 4.0
    assert backoff.lasted(5.0)
    assert backoff.next_s() <= 1.0
    assert 10.0 <= backoff.next_s(refused=True) <= 20.0
    twin = _SessionBackoff(random.Random(5), settings)
    assert [twin.next_s() for _ in range(6)] == delays


async def test_key_is_not_in_the_librarys_debug_log(nas, new_client, caplog):
    caplog.set_level(logging.DEBUG)
    client = await new_client()
    await client.call("echo", 1)
    assert client._settings.api_key not in caplog.text
