"""Operation locks: all or none, freed on every way out, and aware of what an interrupted call left behind."""

import asyncio

import pytest

from csisim.driver.inflight import OperationLocks, snapshot_key, volume_key
from csisim.errors import Aborted
from csisim.truenas.client import unsettled


async def test_a_held_key_answers_aborted_and_other_keys_do_not_wait():
    locks = OperationLocks()
    async with locks.hold(volume_key("a")):
        with pytest.raises(Aborted, match="volume a"):
            async with locks.hold(volume_key("a")):
                raise AssertionError("entered twice")
        async with locks.hold(snapshot_key("a")):
            assert locks.held() == ("snapshot a", "volume a")


async def test_several_keys_are_taken_together_or_not_at_all():
    locks = OperationLocks()
    async with locks.hold("b"):
        with pytest.raises(Aborted):
            async with locks.hold("a", "b", "c"):
                raise AssertionError("entered")

        assert locks.held() == ("b",)


async def test_the_same_key_named_twice_is_one():
    locks = OperationLocks()
    async with locks.hold("a", "a"):
        assert locks.held() == ("a",)


@pytest.mark.parametrize("how", ["error", "cancel"])
async def test_every_way_out_frees_the_keys(how):
    locks = OperationLocks()

    async def work():
        async with locks.hold("a"):
            if how == "error":
                raise ValueError(how)
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert locks.held() == ()


async def test_the_next_holder_waits_for_a_mutation_that_was_given_up():
    locks = OperationLocks()
    outcome = asyncio.get_running_loop().create_future()
    async with locks.hold("a"):
        unsettled.get().append(outcome)
    entered = asyncio.Event()

    async def follow():
        async with locks.hold("a"):
            entered.set()

    follower = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not entered.is_set()
    with pytest.raises(Aborted):
        async with locks.hold("a"):
            raise AssertionError("entered")
    outcome.set_result(None)
    await follower

    assert entered.is_set()
    assert locks.held() == ()


async def test_outside_of_a_lock_nothing_is_collected():
    locks = OperationLocks()
    async with locks.hold("a"):
        pass

    assert unsettled.get() is None


async def test_what_was_left_behind_is_forgotten_when_it_ends():
    locks = OperationLocks()
    outcome = asyncio.get_running_loop().create_future()
    async with locks.hold("a", "b"):
        unsettled.get().append(outcome)
    assert locks.settling() == ("a", "b")
    outcome.set_result(None)
    await asyncio.sleep(0)

    assert locks.settling() == ()


async def test_a_mutation_left_in_an_inner_section_belongs_to_the_outer_one_too():
    locks = OperationLocks()
    outcome = asyncio.get_running_loop().create_future()
    async with locks.hold("a"), locks.queue("n"):
        unsettled.get().append(outcome)

    assert locks.settling() == ("a", "n")
    outcome.set_result(None)


async def test_shared_holders_exclude_only_exclusive_ones():
    locks = OperationLocks()
    async with locks.hold("a", shared=["s"]), locks.hold("b", shared=["s"]):
        with pytest.raises(Aborted):
            async with locks.hold("s"):
                raise AssertionError("entered")
    async with locks.hold("s"):
        with pytest.raises(Aborted):
            async with locks.hold("a", shared=["s"]):
                raise AssertionError("entered")
    assert locks.held() == ()


async def test_a_queue_lets_one_in_at_a_time_in_order():
    locks = OperationLocks()
    seen = []

    async def work(number):
        async with locks.queue("n"):
            seen.append(number)
            await asyncio.sleep(0)
            seen.append(number)

    await asyncio.gather(*(work(number) for number in range(3)))

    assert seen == [0, 0, 1, 1, 2, 2]
    assert locks.held() == ()
