"""The queue of a controller, in virtual time."""

import asyncio

from csisim.co.workqueue import Retry, WorkQueue
from tests.co.scripted import simulated


def queue_of(sync, **options):
    def spawn(work, name):
        return asyncio.get_running_loop().create_task(work, name=name)

    return WorkQueue("queue", sync, spawn, **{"retry_s": 1.0, "retry_max_s": 5.0, **options})


@simulated
async def test_a_key_is_worked_on_once_at_a_time_and_again_if_it_changed_meanwhile():
    running, log = [], []

    async def sync(key):
        assert key not in running
        running.append(key)
        await asyncio.sleep(1)
        running.remove(key)
        log.append(key)

    queue = queue_of(sync)
    for key in ("a", "b", "a"):
        queue.add(key)
    await asyncio.sleep(0.5)
    queue.add("a")
    queue.add("a")
    await asyncio.sleep(5)

    assert log == ["a", "b", "a"]
    assert queue.unfinished() == {}


@simulated
async def test_pauses_double_up_to_the_longest_and_begin_anew_after_success():
    times, left = [], [True] * 5 + [False, True, False]

    async def sync(_key):
        times.append(asyncio.get_running_loop().time())
        if left.pop(0):
            raise Retry("not yet")

    queue = queue_of(sync)
    queue.add("a")
    await asyncio.sleep(20)
    assert times == [0, 1, 3, 7, 12, 17]
    queue.add("a")
    await asyncio.sleep(2)
    assert times[6:] == [20, 21]


@simulated
async def test_what_waits_tells_why_and_keeps_its_pause_unless_it_is_told_outright():
    tries = []

    async def sync(key):
        tries.append(key)
        raise Retry(f"{key} is not ready")

    queue = queue_of(sync)
    queue.add_fresh("a")
    await asyncio.sleep(0.5)
    queue.add_fresh("a")
    await asyncio.sleep(0.1)
    assert (tries, queue.unfinished()) == (["a"], {"a": "a is not ready"})
    queue.add("a")
    await asyncio.sleep(0.1)
    assert tries == ["a", "a"]
    queue.forget("a")
    assert queue.unfinished() == {}
    await queue.close()


@simulated
async def test_its_own_change_does_not_make_a_failure_forget_its_pause():
    tries = []

    async def sync(key):
        tries.append(key)
        queue.add_fresh(key)
        raise Retry("no")

    queue = queue_of(sync)
    queue.add("a")
    await asyncio.sleep(0.5)
    assert tries == ["a"]
    await queue.close()


@simulated
async def test_no_more_keys_at_a_time_than_workers():
    running = []

    async def sync(key):
        running.append(key)
        assert len(running) <= 2
        await asyncio.sleep(1)
        running.remove(key)

    queue = queue_of(sync, workers=2)
    for key in "abcd":
        queue.add(key)
    await asyncio.sleep(0)
    assert list(queue.unfinished().values()) == ["waits for a worker"] * 2 + ["is being worked on"] * 2
    await asyncio.sleep(3)
    assert queue.unfinished() == {}


@simulated
async def test_a_pause_that_work_asks_for_is_no_failure_and_the_shortest_counts():
    times = []

    async def sync(_key):
        times.append(asyncio.get_running_loop().time())
        return 10.0 if len(times) == 1 else None

    queue = queue_of(sync)
    queue.add("a")
    await asyncio.sleep(1)
    assert queue.unfinished() == {}
    queue.add_after("a", 2)
    queue.add_after("a", 5)
    await asyncio.sleep(20)
    assert times == [0, 3]


@simulated
async def test_closing_ends_what_runs_and_what_waits():
    ended = []

    async def sync(key):
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(key)

    queue = queue_of(sync)
    queue.add("a")
    queue.add_after("b", 1)
    await asyncio.sleep(0.1)
    await queue.close()
    queue.add("c")
    queue.add_after("c", 1)
    assert ended == ["a"]
    assert asyncio.get_running_loop().time() < 1
