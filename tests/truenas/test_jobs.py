"""Jobs: ends told before, after or never; numbers that start anew."""

import asyncio

import pytest

from csisim.deadline import within
from csisim.errors import NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.client import unsettled
from csisim.truenas.jobs import same_job

METHOD = "service.control"


def item(job_id=1, state="SUCCESS", **fields):
    return {"id": job_id, "method": METHOD, "arguments": ["RELOAD", "nfs"], "state": state, "result": True} | fields


def jobs_listed(nas, *rows):
    """Have core.get_jobs answer with these rows, one per look; the last one stays."""
    looks = list(rows)

    async def answer(call):
        await call.reply(looks.pop(0) if len(looks) > 1 else looks[0])

    nas.handlers["core.get_jobs"] = answer


async def test_end_told_before_the_number(nas, client):
    async def early(call):
        await call.event(item(state="RUNNING", result=None))
        await call.event(item(result="loaded"))
        await call.reply(1)

    nas.handlers[METHOD] = early
    assert await client.job(METHOD, "RELOAD", "nfs") == "loaded"
    assert nas.methods().count("core.subscribe") == 1
    assert "core.get_jobs" not in nas.methods()


async def test_end_told_after_the_number_and_jobs_side_by_side(nas, new_client):
    client = await new_client(job_poll_s=60.0)
    nas.handlers[METHOD] = nas.hold
    jobs = [asyncio.create_task(client.job(METHOD, n)) for n in range(5)]
    held = [await nas.unanswered.get() for _ in jobs]
    for number, call in enumerate(held, 1):
        await call.reply(number)
    for number in (3, 1, 5, 2, 4):
        await held[0].event(item(number, result=f"job {number}"))
    order = {call.params[0]: number for number, call in enumerate(held, 1)}
    assert await asyncio.gather(*jobs) == [f"job {order[n]}" for n in range(5)]


async def test_end_never_told_is_polled(nas, client):
    nas.handlers[METHOD] = lambda call: call.reply(9)
    jobs_listed(nas, [item(9, "WAITING")], [item(9, "RUNNING")], [item(9, result="polled")])
    assert await client.job(METHOD, "RELOAD", "nfs") == "polled"
    looks = [call.params for call in nas.calls if call.method == "core.get_jobs"]
    assert looks == [[[["id", "=", 9]]]] * 3


async def test_refused_subscription_leaves_polling(nas, client):
    nas.handlers["core.subscribe"] = lambda call: call.refuse(13, "[EACCES] Not authorized")
    nas.handlers[METHOD] = lambda call: call.reply(2)
    jobs_listed(nas, [item(2)])
    assert await client.job(METHOD, "RELOAD", "nfs") is True


async def test_plain_answer_is_the_result(nas, client):
    nas.handlers[METHOD] = lambda call: call.reply(True)
    assert await client.job(METHOD, "RELOAD", "nfs") is True


async def test_failed_job_is_refused_with_errno_and_details(nas, client):
    info = {"repr": "x", "type": "VALIDATION", "errno": None, "extra": [["a.name", "taken", 17]]}

    async def fail(call):
        await call.reply(4)
        await call.event(item(4, "FAILED", result=None, error="[EEXIST] a.name: taken", exc_info=info))

    nas.handlers[METHOD] = fail
    with pytest.raises(NasRefused, match="job 4 ended as FAILED") as caught:
        await client.job(METHOD)
    assert (caught.value.errno, caught.value.code) == (17, -32602)
    assert caught.value.details == (("a.name", "taken", 17),)


async def test_aborted_job_is_refused(nas, client):
    async def abort(call):
        await call.reply(4)
        await call.event(item(4, "ABORTED", result=None, error=None, exc_info=None))

    nas.handlers[METHOD] = abort
    with pytest.raises(NasRefused, match="ABORTED"):
        await client.job(METHOD)


async def test_job_that_goes_on_over_a_reconnect_is_followed(nas, new_client):
    client = await new_client(job_poll_s=60.0)

    async def start(call):
        await call.reply(7)
        await asyncio.sleep(0.02)
        call.cut()

    nas.handlers[METHOD] = start
    jobs_listed(nas, [item(7, result="survived")])
    assert await client.job(METHOD, "RELOAD", "nfs") == "survived"
    assert nas.methods().count("core.subscribe") == 2
    assert nas.methods().count(METHOD) == 1


async def test_defaults_that_the_nas_filled_in_do_not_make_it_another_job():
    shown = item(arguments=["RELOAD", {"silent": True, "timeout": 5}, {}])
    assert same_job(shown, METHOD, ["RELOAD", {"timeout": 5}])
    assert same_job(shown, METHOD, [])
    assert not same_job(shown, METHOD, ["RELOAD", {"timeout": 6}])
    assert not same_job(shown, METHOD, ["RELOAD", {"other": 6}])
    assert not same_job(shown, METHOD, ["RELOAD", {}, {}, {}])
    assert not same_job({"method": METHOD}, METHOD, [])


@pytest.mark.parametrize(
    "rows", [[], [item(7, method="pool.scrub")], [item(7, arguments=["RELOAD", "cifs"])], None, [None]]
)
async def test_number_that_is_gone_or_anothers_after_a_reconnect_is_indeterminate(nas, new_client, rows):
    client = await new_client(job_poll_s=60.0)

    async def start(call):
        await call.reply(7)
        await asyncio.sleep(0.02)
        call.cut()

    nas.handlers[METHOD] = start
    jobs_listed(nas, rows)
    with pytest.raises(NasIndeterminate, match="job 7: its state is unknown") as caught:
        await client.job(METHOD, "RELOAD", "nfs")
    assert caught.value.sent
    assert caught.value.method == METHOD


async def test_deadline_ends_the_wait_for_a_job(nas, client):
    nas.handlers[METHOD] = lambda call: call.reply(3)
    jobs_listed(nas, [item(3, "RUNNING")])
    with within(0.2), pytest.raises(NasTimeout) as caught:
        await client.job(METHOD)
    assert caught.value.sent
    assert caught.value.method == METHOD


async def test_job_given_up_is_noted_until_its_end_is_told(nas, new_client):
    client = await new_client(job_poll_s=60.0)
    nas.handlers[METHOD] = nas.hold
    notes = []
    token = unsettled.set(notes)
    tasks = [asyncio.create_task(client.job(METHOD, n)) for n in range(2)]
    unsettled.reset(token)
    held = [await nas.unanswered.get() for _ in tasks]
    for number, call in enumerate(held, 1):
        await call.reply(number)
    await client.call("echo")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert [note.done() for note in notes] == [False, False]
    # Which of the two calls arrived first is open; the notes are in the order of giving up.
    second = 1 + next(at for at, call in enumerate(held) if call.params == [1])
    await held[0].event(item(second))
    await notes[1]
    assert not notes[0].done()
    held[0].cut()
    await notes[0]


async def test_job_that_cannot_be_started_was_not_sent(nas, new_client):
    await nas.stop()
    client = await new_client(wait=False, wait_connected_s=0.05)
    with pytest.raises(NasIndeterminate) as caught:
        await client.job(METHOD)
    assert not caught.value.sent
    assert caught.value.method == METHOD


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"state": 5},
        {"state": ["SUCCESS"]},
        {"id": None, "state": "FAILED"},
        {"id": [], "state": "SUCCESS", "result": 1},
    ],
)
async def test_events_of_any_shape_are_harmless(nas, client, fields):
    async def answer(call):
        for params in (None, [], {"collection": "core.get_jobs"}, {"collection": "core.get_jobs", "fields": fields}):
            await call.raw({"method": "collection_update", "params": params})
        await call.raw({"method": "notify_unsubscribed", "params": {"collection": "core.get_jobs"}})
        await call.reply(True)

    nas.handlers[METHOD] = answer
    assert await client.job(METHOD) is True
    assert client.logins == 1


async def test_event_of_another_job_with_the_same_number_after_a_restart_is_not_taken(nas, new_client):
    client = await new_client(job_poll_s=60.0)

    async def start(call):
        await call.reply(7)
        await asyncio.sleep(0.02)
        call.cut()

    async def look(call):
        await call.event(item(7, method="pool.scrub", arguments=[], result="another's"))
        await call.reply([item(7, "RUNNING")])
        await call.event(item(7, result="own"))

    nas.handlers[METHOD] = start
    nas.handlers["core.get_jobs"] = look
    assert await client.job(METHOD, "RELOAD", "nfs") == "own"


async def test_refused_subscription_of_the_first_job_is_no_obstacle(nas, client):
    nas.handlers["core.subscribe"] = lambda call: call.refuse(13, "[EACCES] Not authorized")

    async def start(call):
        await call.reply(2)

    nas.handlers[METHOD] = start
    jobs_listed(nas, [item(2, "RUNNING")], [item(2)])
    assert [await client.job(METHOD, "RELOAD", "nfs") for _ in range(2)] == [True, True]
    assert nas.methods().count("core.subscribe") == 1
