"""Mutations brought to a known end: never repeated blindly."""

import asyncio
import random

import pytest

from csisim.deadline import within
from csisim.errors import NasIndeterminate, NasRefused, NasTimeout
from csisim.truenas.retry import JitteredBackoff, RetryPolicy, settle

LOST = NasIndeterminate("create", "cut off", sent=True)
NOT_SENT = NasIndeterminate("create", "no connection", sent=False)
EXISTS = NasRefused("create", "exists", code=-32602, errno=17)


def policy(attempts=4, base_s=0.001):
    return RetryPolicy(attempts, JitteredBackoff(random.Random(1), base_s=base_s, max_s=base_s))


class Script:
    """Plays one step per call and writes down who was called."""

    def __init__(self, do=(), lookup=()):
        self.steps = {"do": list(do), "lookup": list(lookup)}
        self.calls = []

    async def _play(self, name):
        self.calls.append(name)
        step = self.steps[name].pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def do(self):
        return await self._play("do")

    async def lookup(self):
        return await self._play("lookup")

    async def run(self, **changes):
        return await settle(self.do, self.lookup, policy(**changes))


async def test_success_at_once_looks_nothing_up():
    script = Script(do=["made"])
    assert await script.run() == "made"
    assert script.calls == ["do"]


async def test_lost_answer_is_looked_up_and_what_is_found_is_the_result():
    script = Script(do=[LOST], lookup=["found"])
    assert await script.run() == "found"
    assert script.calls == ["do", "lookup"]


async def test_only_what_is_not_there_is_made_again():
    script = Script(do=[LOST, LOST, "made"], lookup=[None, None])
    assert await script.run() == "made"
    assert script.calls == ["do", "lookup", "do", "lookup", "do"]


async def test_what_was_not_sent_is_repeated_without_a_look():
    script = Script(do=[NOT_SENT, NOT_SENT, "made"])
    assert await script.run() == "made"
    assert script.calls == ["do"] * 3


async def test_refusal_is_final():
    script = Script(do=[EXISTS])
    with pytest.raises(NasRefused):
        await script.run()
    assert script.calls == ["do"]


async def test_refused_repeat_may_be_our_own_first_one_that_landed_late():
    script = Script(do=[LOST, EXISTS], lookup=[None, "found"])
    assert await script.run() == "found"
    assert script.calls == ["do", "lookup", "do", "lookup"]


async def test_refused_repeat_with_nothing_to_find_is_a_refusal():
    script = Script(do=[LOST, EXISTS], lookup=[None, None])
    with pytest.raises(NasRefused):
        await script.run()


async def test_lost_lookup_leads_to_another_lookup_never_to_a_repeat():
    script = Script(do=[LOST], lookup=[LOST, NOT_SENT, "found"])
    assert await script.run() == "found"
    assert script.calls == ["do", "lookup", "lookup", "lookup"]


async def test_attempts_are_bounded():
    script = Script(do=[LOST] * 3, lookup=[None] * 3)
    with pytest.raises(NasIndeterminate):
        await script.run(attempts=3)
    assert script.calls == ["do", "lookup", "do", "lookup", "do"]


@pytest.mark.parametrize("last", [NOT_SENT, NasTimeout("create", "no time left", sent=False)])
async def test_end_without_sending_stays_open_if_an_earlier_attempt_was_sent(last):
    script = Script(do=[LOST, last], lookup=[None])
    with pytest.raises(NasIndeterminate, match="cut off; then create") as caught:
        await script.run(attempts=2)
    assert caught.value.sent
    assert type(caught.value) is type(last)


async def test_no_attempt_starts_after_the_deadline():
    script = Script(do=[LOST])
    with within(0.01), pytest.raises(NasIndeterminate):
        await script.run(base_s=10.0)
    assert script.calls == ["do"]


async def test_nothing_starts_after_cancellation():
    script = Script(do=[LOST])
    task = asyncio.create_task(script.run(base_s=60.0))
    await asyncio.wait([task], timeout=0.02)
    assert script.calls == ["do"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert script.calls == ["do"]


def test_delays_come_from_the_given_stream_alone_and_stay_finite():
    def delays():
        backoff = JitteredBackoff(random.Random(9), base_s=0.1, max_s=1.0)
        return [backoff.delay_s(n) for n in (1, 2, 3, 4, 5, 5000)]

    random.seed(1)
    first = delays()
    random.seed(2)
    assert delays() == first
    for delay, ceiling in zip(first, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=True):
        assert ceiling / 2 <= delay <= ceiling
