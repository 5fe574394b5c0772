"""Parallel steps: siblings of a failed one are ended, and its error surfaces."""

import asyncio

import pytest

from csisim.concurrency import together
from csisim.errors import NasIndeterminate, NasRefused

REFUSED = NasRefused("m", "no", code=-32001, errno=14)
CUT = NasIndeterminate("m", "cut", sent=True)


async def give(value):
    await asyncio.sleep(0)
    return value


async def fail(error):
    raise error


async def test_results_come_in_order():
    assert await together(give(1), give("b"), give(None)) == (1, "b", None)


async def test_the_sibling_of_a_failed_step_is_cancelled_and_awaited():
    ended = []

    async def sibling():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    with pytest.raises(NasRefused):
        await together(sibling(), fail(REFUSED))

    assert ended == ["cleaned up"]


async def test_of_two_errors_the_one_with_an_unknown_effect_is_raised():
    with pytest.raises(NasIndeterminate):
        await together(fail(REFUSED), fail(CUT))


async def test_cancelling_the_whole_is_not_an_error_of_a_step():
    task = asyncio.create_task(together(asyncio.Event().wait(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
