"""The caller's deadline in a context variable."""

import asyncio

from csisim import deadline


async def test_without_a_deadline_the_callees_own_limit_holds():
    assert deadline.remaining_s(5.0) == 5.0


async def test_the_sooner_deadline_is_in_force_and_is_inherited_by_tasks():
    with deadline.within(10.0), deadline.within(100.0):
        assert deadline.remaining_s(1000.0) <= 10.0
        assert await asyncio.create_task(left()) <= 10.0
        with deadline.within(None):
            assert deadline.remaining_s(1000.0) <= 10.0
    assert deadline.remaining_s(1000.0) == 1000.0


async def left():
    return deadline.remaining_s(1000.0)


async def test_what_has_run_out_is_zero_and_never_negative():
    with deadline.within(-1.0):
        assert deadline.remaining_s(5.0) == 0.0
