"""What does not end is ended."""

import asyncio

import pytest

from csisim.runs.stuck import Stuck, watched
from csisim.sim.run import simulate


async def waits_for_nobody() -> None:
    await asyncio.get_running_loop().create_future()


def test_it_says_what_everybody_waited_for():
    async def program() -> str:
        with pytest.raises(Stuck, match="the phase safety has not ended within 100 s") as stuck:
            await watched("the phase safety", waits_for_nobody(), 100)
        assert asyncio.get_running_loop().time() == 100
        return stuck.value.report

    report = simulate(program).result or ""
    assert "the phase safety:\n  test_stuck.py" in report
    assert "waits for a future that nobody completes" in report


async def test_the_same_on_an_ordinary_loop():
    with pytest.raises(Stuck) as stuck:
        await watched("a test", waits_for_nobody(), 0.01)
    assert "test_stuck.py" in stuck.value.report
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "a test"]


async def test_results_and_errors_pass_through():
    async def gives() -> int:
        return 7

    async def fails() -> None:
        raise KeyError("x")

    assert await watched("a test", gives(), 1) == 7
    with pytest.raises(KeyError):
        await watched("a test", fails(), 1)
