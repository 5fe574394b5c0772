"""The ends of a connection: whoever notices first, every pending call gets exactly one outcome."""

import asyncio
import json

import pytest

from csisim.errors import NasError, NasIndeterminate, NasTimeout


async def finish(calls):
    """The outcomes of all calls, as result or error; none of them may be left waiting."""
    done = await asyncio.gather(*calls, return_exceptions=True)
    assert all(not isinstance(each, Exception) or isinstance(each, NasError) for each in done), done
    return done


async def client_round_trip(client):
    """Whatever the NAS wrote before has been read."""
    await client.call("echo")


async def test_every_pending_call_is_indeterminate_when_the_connection_is_cut(nas, client):
    nas.handlers["m"] = nas.hold
    calls = [asyncio.create_task(client.call("m", n)) for n in range(16)]
    held = [await nas.unanswered.get() for _ in calls]
    held[0].cut()
    done = await finish(calls)
    assert [each.sent for each in done] == [True] * 16
    assert client.tasks.count() == 0
    assert await client.call("echo", 1) == [1]
    assert client.logins == 2


async def test_abrupt_ends_with_calls_in_flight_give_each_call_exactly_one_outcome(nas, new_client):
    client = await new_client(backoff_s=0.001, backoff_max_s=0.002, heartbeat_s=0.02, heartbeat_timeout_s=0.02)
    runs = {}

    async def moody(call):
        runs[call.params[0]] = runs.get(call.params[0], 0) + 1
        match call.params[0] % 40:
            case 7:
                call.cut()
            case 17:
                await call.socket.close(1011)
            case 27:
                call.socket.transport.write(b"\xff\xff\xff garbage that is no frame")
            case 37:
                call.socket.transport.write_eof()
            case _:
                await call.reply(call.params[0])

    nas.handlers["m"] = moody
    done = await finish([asyncio.create_task(client.call("m", n)) for n in range(200)])
    ok = [n for n, each in enumerate(done) if each == n]
    lost = [each for each in done if isinstance(each, NasIndeterminate)]
    assert len(ok) + len(lost) == 200
    assert set(runs.values()) == {1}
    assert not set(ok) & {n for n in range(200) if n % 10 == 7}
    assert client.tasks.count() == 0
    assert await client.query("m", 0) == 0


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        "null",
        "7",
        '{"jsonrpc":"2.0"}',
        '{"id":"x","result":1}',
        '{"id":true,"result":1}',
        '{"id":1e400}',
    ],
)
async def test_malformed_frames_do_not_disturb_the_calls(nas, client, frame):
    async def answer(call):
        await call.raw(frame)
        await call.reply("fine")

    nas.handlers["m"] = answer
    assert await client.call("m") == "fine"
    assert client.logins == 1
    assert client.frames.malformed == 1


async def test_unknown_and_repeated_ids_do_not_disturb_the_calls(nas, client):
    async def answer(call):
        await call.raw({"id": call.id + 1000, "result": "nobody's"})
        await call.raw({"id": None, "error": {"code": -32700, "message": "?"}})
        await call.reply("first")
        await call.reply("second")

    nas.handlers["m"] = answer
    assert await asyncio.gather(client.call("m"), client.call("m")) == ["first", "first"]
    await client_round_trip(client)
    assert client.logins == 1
    assert client.frames.unmatched == 6


async def test_binary_and_broken_utf8_frames_do_not_disturb_the_calls(nas, client):
    async def answer(call):
        await call.socket.send(b"\xff\xfe")
        await call.reply("fine")

    nas.handlers["m"] = answer
    assert await client.call("m") == "fine"


async def test_too_large_a_reply_ends_the_connection_and_says_so(nas, new_client):
    client = await new_client(max_message_bytes=1000)
    nas.handlers["m"] = lambda call: call.reply("x" * 2000)
    with pytest.raises(NasIndeterminate, match=r"exceeds 1000 bytes \(max_message_bytes\)") as caught:
        await client.call("m")
    assert caught.value.sent
    assert await client.call("echo", 1) == [1]


async def test_goodbye_of_the_nas_ends_pending_calls_without_waiting_for_it_to_hang_up(nas, client):
    async def say_goodbye(call):
        call.socket.protocol.send_close(1001, "going down")
        call.socket.send_data()
        call.socket.transport.pause_reading()  # it will never see the reply to that, and never hang up

    nas.handlers["m"] = say_goodbye
    with pytest.raises(NasIndeterminate, match="going down"):
        await client.call("m")


async def test_silent_nas_is_found_out_and_left_for_a_new_connection(nas, new_client):
    client = await new_client(heartbeat_s=0.05, heartbeat_timeout_s=0.05)
    nas.freeze()
    with pytest.raises(NasIndeterminate, match="silent for") as caught:
        await client.call("m")
    assert caught.value.sent
    assert not isinstance(caught.value, NasTimeout)
    assert await client.call("echo", 1) == [1]
    assert client.logins == 2


async def test_slow_calls_in_all_slots_do_not_starve_the_heartbeat(nas, new_client):
    client = await new_client(heartbeat_s=0.02, heartbeat_timeout_s=0.1, in_flight=4)
    nas.handlers["slow"] = nas.hold
    calls = [asyncio.create_task(client.call("slow")) for _ in range(8)]
    held = [await nas.unanswered.get() for _ in range(4)]
    await asyncio.sleep(0.3)
    for _ in range(4):
        await held.pop().reply("ok")
    for _ in range(4):
        await (await nas.unanswered.get()).reply("ok")
    assert await asyncio.gather(*calls) == ["ok"] * 8
    assert client.logins == 1


async def test_long_reply_that_keeps_coming_is_a_sign_of_life(nas, new_client):
    client = await new_client(heartbeat_s=0.02, heartbeat_timeout_s=0.05)

    async def trickle(call):
        # One frame, its bytes spread over many heartbeats; pongs cannot overtake it.
        body = json.dumps({"id": call.id, "result": "x" * 60}).encode()
        frame = bytes([0x81, len(body)]) + body
        call.socket.transport.pause_reading()
        for at in range(0, len(frame), 4):
            call.socket.transport.write(frame[at : at + 4])
            await asyncio.sleep(0.015)
        call.socket.transport.resume_reading()

    nas.handlers["m"] = trickle
    assert await client.call("m") == "x" * 60
    assert client.logins == 1


async def test_close_twice_and_in_parallel_answers_every_call_exactly_once(nas, new_client):
    client = await new_client(in_flight=4)
    nas.handlers["m"] = nas.hold
    calls = [asyncio.create_task(client.call("m", n)) for n in range(8)]
    for _ in range(4):
        await nas.unanswered.get()
    await asyncio.gather(client.close(), client.close(), client.close())
    done = await finish(calls)
    assert [each.sent for each in done] == [True] * 4 + [False] * 4
    await client.close()
    assert not client.connected
    with pytest.raises(NasIndeterminate, match="client is closed") as caught:
        await client.call("m")
    assert not caught.value.sent
    await client.start()
    assert not await client.wait_connected(0.01)


async def test_close_says_goodbye_to_the_nas(nas, client):
    await client.call("echo")
    await client.close()
    await nas.sockets[0].wait_closed()
    assert nas.sockets[0].close_code == 1000


async def test_close_while_the_nas_does_not_listen_any_more_ends(nas, client):
    nas.handlers["m"] = nas.hold
    call = asyncio.create_task(client.call("m"))
    await nas.unanswered.get()
    nas.freeze()
    await client.close()
    (done,) = await finish([call])
    assert done.sent


async def test_close_races_with_a_cut(nas, new_client):
    for _ in range(20):
        client = await new_client()
        nas.handlers["m"] = nas.hold
        calls = [asyncio.create_task(client.call("m", n)) for n in range(3)]
        held = [await nas.unanswered.get() for _ in calls]
        held[0].cut()
        await asyncio.gather(client.close(), held[1].socket.close(), client.close())
        assert [each.sent for each in await finish(calls)] == [True] * 3
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("nas-")]


async def test_close_of_a_client_that_was_never_started(nas, new_client):
    client = await new_client()
    await client.close()


async def test_cancelled_close_goes_on_in_the_background(nas, client):
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await client.close()
    await nas.sockets[0].wait_closed()


async def test_first_reason_for_the_end_stands(nas, client):
    connection = client._session.connection
    connection.end("first")
    connection.end("second")
    assert connection.end_reason == "first"
    assert not client.connected
    assert await client.call("echo", 1) == [1]
    assert connection.end_reason == "first"


async def test_call_on_a_connection_that_has_begun_to_close_goes_to_the_next_one(nas, new_client):
    client = await new_client(in_flight=1)
    client._session.connection._socket.protocol.send_close(1000)
    assert await client.call("echo", 1) == [1]
    assert await client.call("echo", 2) == [2]
    assert nas.methods().count("echo") == 2
    assert client.logins == 2


async def test_close_in_the_middle_of_a_goodbye_to_a_nas_that_refused_the_key(nas, new_client):
    nas.api_key = "another key"

    async def refuse_and_freeze(call):
        await call.reply(False)
        call.socket.transport.pause_reading()

    nas.login_answers = [refuse_and_freeze]
    client = await new_client(wait=False, close_timeout_s=60.0)
    while not nas.calls:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    await client.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("nas-")]
    nas.sockets[0].transport.resume_reading()
    await nas.sockets[0].wait_closed()
