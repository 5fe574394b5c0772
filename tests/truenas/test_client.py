"""Calls over one websocket: matching, admission, errors, deadlines, giving up."""

import asyncio
import random
from contextlib import suppress

import pytest

from csisim.deadline import within
from csisim.errors import NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.client import unsettled


def outcomes(tasks):
    """One word per task: its result, or the class of its error."""
    return [type(task.exception()).__name__ if task.exception() else task.result() for task in tasks]


async def test_200_concurrent_calls_answered_in_random_order_each_get_their_own_answer(nas, client):
    rng = random.Random(3)
    held = []

    async def shuffle(call):
        held.append(call)
        if len(held) >= 10:
            rng.shuffle(held)
            for each in held[:]:
                held.remove(each)
                await each.reply(each.params[0] * 2)

    nas.handlers["double"] = shuffle
    # 16 in flight, so ten of them are always there to be shuffled, but for the last few.
    calls = [asyncio.create_task(client.call("double", n)) for n in range(200)]
    assert [await call for call in calls] == [n * 2 for n in range(200)]
    assert client.tasks.count() == 0


async def test_login_comes_first_and_calls_made_meanwhile_wait_for_it(nas, new_client):
    client = await new_client(wait=False)
    assert not client.connected
    assert await asyncio.gather(*(client.call("echo", n) for n in range(5))) == [[n] for n in range(5)]
    assert nas.methods() == ["auth.login_with_api_key", *["echo"] * 5]
    assert len({call.id for call in nas.calls}) == 6
    assert client.connected


async def test_no_more_calls_in_flight_than_allowed_and_those_that_wait_go_in_order(nas, new_client):
    client = await new_client(in_flight=3)
    nas.handlers["hold"] = nas.hold
    calls = [asyncio.create_task(client.call("hold", n)) for n in range(7)]
    held = [await nas.unanswered.get() for _ in range(3)]
    await client_round_trip(nas)
    assert nas.unanswered.empty()
    assert [task.method for task in client.tasks.snapshot()] == ["hold"] * 3
    seen = [call.params[0] for call in held]
    while held:
        await held.pop().reply(None)
        if len(seen) < 7:
            held.append(await nas.unanswered.get())
            seen.append(held[-1].params[0])
    await asyncio.gather(*calls)
    assert seen == list(range(7))


async def client_round_trip(nas):
    """Whatever was written before has arrived once a ping of the other side is answered."""
    await (await nas.sockets[-1].ping())


async def test_refusal_carries_the_true_errno_the_details_and_the_reason_from_the_data(nas, client):
    async def refuse(call):
        extra = [["pool_dataset_create.name", "tank/a already exists", 17], ["data.foo", "Extra", 22]]
        data = {"error": 22, "errname": "EINVAL", "reason": "[EEXIST] name: tank/a already exists\n", "extra": extra}
        await call.error(-32602, "Invalid params", data)

    nas.handlers["pool.dataset.create"] = refuse
    with pytest.raises(NasRefused) as caught:
        await client.call("pool.dataset.create", {"name": "tank/a"})
    assert (caught.value.code, caught.value.errno) == (-32602, 17)
    assert caught.value.reason == "[EEXIST] name: tank/a already exists"
    assert caught.value.details[0] == ("pool_dataset_create.name", "tank/a already exists", 17)


@pytest.mark.parametrize("error", [None, [], "no", {}, {"code": "x", "data": []}, {"data": {"extra": {"a": 1}}}])
async def test_error_of_any_shape_is_never_taken_for_success(nas, client, error):
    nas.handlers["m"] = lambda call: call.raw({"id": call.id, "error": error})
    with pytest.raises(NasRefused):
        await client.call("m")


async def test_crowded_nas_is_asked_again_and_the_caller_does_not_notice(nas, client):
    async def crowded(call):
        if len(nas.methods()) < 5:
            await call.error(-32000, "Maximum number of concurrent calls (20) has exceeded")
        else:
            await call.reply("done")

    nas.handlers["m"] = crowded
    assert await client.call("m") == "done"
    assert nas.methods().count("m") == 4


async def test_crowded_nas_until_the_deadline_is_a_time_out_without_effect(nas, new_client):
    client = await new_client(backoff_s=100.0, backoff_max_s=100.0)
    nas.handlers["m"] = lambda call: call.error(-32000, "Maximum number of concurrent calls (20) has exceeded")
    with pytest.raises(NasTimeout, match="concurrent calls") as caught:
        await client.call("m", timeout_s=2.0)
    assert not caught.value.sent
    assert nas.methods().count("m") == 1


async def test_no_time_left_sends_nothing(nas, client):
    with within(0.0), pytest.raises(NasTimeout) as caught:
        await client.call("m")
    assert not caught.value.sent
    assert "m" not in nas.methods()


async def test_callers_deadline_ends_the_wait_for_an_answer(nas, client):
    nas.handlers["m"] = nas.hold
    with within(0.05), pytest.raises(NasTimeout, match="no answer within") as caught:
        await client.call("m", timeout_s=60.0)
    assert caught.value.sent
    assert [task.given_up for task in client.tasks.snapshot()] == [True]
    await (await nas.unanswered.get()).reply("late")
    assert await client.call("echo", 1) == [1]
    assert client.tasks.count() == 0


async def test_deadline_ends_the_wait_for_a_slot(nas, new_client):
    client = await new_client(in_flight=1)
    nas.handlers["m"] = nas.hold
    first = asyncio.create_task(client.call("m"))
    held = await nas.unanswered.get()
    with pytest.raises(NasTimeout, match="1 calls are in flight") as caught:
        await client.call("m", timeout_s=0.05)
    assert not caught.value.sent
    await held.reply("first")
    assert await first == "first"
    assert nas.methods().count("m") == 1


async def test_time_out_of_one_call_leaves_the_connection_alone(nas, client):
    nas.handlers["slow"] = nas.hold
    with pytest.raises(NasTimeout):
        await client.call("slow", timeout_s=0.02)
    assert await client.call("echo", 1) == [1]
    assert client.logins == 1


async def test_nas_that_is_down_is_named_with_the_reason_and_nothing_is_sent(nas, new_client):
    await nas.stop()
    client = await new_client(wait=False, wait_connected_s=0.1)
    with pytest.raises(
        NasIndeterminate, match=rf"NAS unreachable at ws://127.0.0.1:{nas.port}: connection refused; last tried"
    ) as caught:
        await client.call("m")
    assert not caught.value.sent
    assert not isinstance(caught.value, NasTimeout)
    for seconds in (0.01, 0.0):
        with pytest.raises(NasIndeterminate, match="unreachable") as caught, within(seconds):
            await client.query("m")
        assert not isinstance(caught.value, NasTimeout)


async def test_cancelled_call_is_dropped_and_its_late_answer_too(nas, client):
    nas.handlers["m"] = nas.hold
    task = asyncio.create_task(client.call("m"))
    held = await nas.unanswered.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.tasks.count() == 1
    other = asyncio.create_task(client.call("m", "other"))
    await held.reply("too late")
    await (await nas.unanswered.get()).reply("own")
    assert await other == "own"
    assert client.tasks.count() == 0


async def test_call_given_up_before_it_was_sent_never_reaches_the_nas(nas, new_client):
    client = await new_client(in_flight=1)
    nas.handlers["m"] = nas.hold
    first = asyncio.create_task(client.call("m"))
    held = await nas.unanswered.get()
    waiting = asyncio.create_task(client.call("never"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    await held.reply(None)
    await first
    assert await client.call("echo", 1) == [1]
    assert "never" not in nas.methods()


async def test_given_up_mutations_are_noted_until_their_answer_comes(nas, client):
    nas.handlers["m"] = nas.hold
    notes = []
    token = unsettled.set(notes)
    cancelled = asyncio.create_task(client.call("m"))
    held = [await nas.unanswered.get()]
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    with pytest.raises(NasTimeout):
        await client.call("m", timeout_s=0.02)
    held.append(await nas.unanswered.get())
    with pytest.raises(NasTimeout), within(0.02):
        await client.query("m")
    assert len(notes) == 2
    assert not any(note.done() for note in notes)
    await held[1].reply(None)
    await notes[1]
    assert not notes[0].done()
    held[0].cut()
    await notes[0]
    unsettled.reset(token)


async def test_answered_calls_leave_no_note(nas, client):
    notes = []
    token = unsettled.set(notes)
    await client.call("echo")
    unsettled.reset(token)
    assert notes == []


async def test_query_is_repeated_when_the_connection_is_cut(nas, client):
    async def cut_twice(call):
        if nas.methods().count("pool.query") < 3:
            call.cut()
        else:
            await call.reply(["tank"])

    nas.handlers["pool.query"] = cut_twice
    assert await client.query("pool.query") == ["tank"]


async def test_query_gives_up_after_its_attempts(nas, client):
    async def cut(call):
        call.cut()

    nas.handlers["pool.query"] = cut
    with pytest.raises(NasIndeterminate) as caught:
        await client.query("pool.query")
    assert caught.value.sent
    assert nas.methods().count("pool.query") == 3


async def test_call_is_not_repeated_when_the_connection_is_cut(nas, client):
    async def cut(call):
        call.cut()

    nas.handlers["pool.dataset.create"] = cut
    with pytest.raises(NasIndeterminate, match="ended before the answer") as caught:
        await client.call("pool.dataset.create")
    assert caught.value.sent
    assert await client.call("echo", 1) == [1]
    assert nas.methods().count("pool.dataset.create") == 1


async def test_request_that_the_nas_would_hang_up_on_is_refused_here(nas, new_client):
    client = await new_client(in_flight=1)
    with pytest.raises(NasRefused, match="the NAS takes 65536"):
        await client.call("m", "x" * 70_000)
    with pytest.raises(NasRefused, match="cannot be written as JSON"):
        await client.call("m", 1 << 70)
    assert await client.call("echo", 1) == [1]
    assert client.logins == 1


async def test_lost_answers_do_not_hold_their_slots_for_ever(nas, new_client):
    client = await new_client(in_flight=2, overdue_s=0.1)
    nas.handlers["m"] = nas.hold
    notes = []
    token = unsettled.set(notes)
    for _ in range(2):
        with pytest.raises(NasTimeout):
            await client.call("m", timeout_s=0.01)
    unsettled.reset(token)
    assert client.tasks.count() == 2
    assert await client.call("echo", 1) == [1]
    await asyncio.wait_for(asyncio.gather(*notes), 5)
    assert client.logins == 2
