"""Waiting for events of a history, under virtual time."""

import asyncio
from typing import Any

import pytest

from csisim.events import History
from csisim.runs.waiting import NotSeen, until
from csisim.sim.run import simulate


def waited(condition: Any, timeout_s: float = 10.0) -> tuple[float, int]:
    """Loop time at the end of the wait, and how often the condition was asked; an event comes with each second."""
    asked = 0

    async def program() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        history = History(loop.time)

        def holds() -> bool:
            nonlocal asked
            asked += 1
            return condition(history)

        async def events() -> None:
            while True:
                await asyncio.sleep(1)
                history.add("info", "world", "phase")

        task = asyncio.create_task(events())
        try:
            await until(history, holds, lambda: f"there are {history.last_seq} events", timeout_s)
        finally:
            task.cancel()
            assert not history._listeners
        return loop.time(), asked

    outcome = simulate(program, seed=1)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result


def test_what_holds_already_is_not_waited_for():
    assert waited(lambda _history: True) == (0.0, 1)


def test_it_ends_with_the_event_that_makes_it_so_and_asks_once_for_each():
    assert waited(lambda history: history.last_seq == 3) == (3.0, 4)


def test_in_vain_it_ends_with_how_things_stand():
    with pytest.raises(NotSeen, match=r"after 4.5 s of waiting: there are 4 events"):
        waited(lambda _history: False, 4.5)
