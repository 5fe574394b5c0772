"""Waiting for something to happen in a testbed: looked at after every event of its history, never by a clock."""

import asyncio
from collections.abc import Callable

from csisim.events import Event, History


class NotSeen(AssertionError):
    """What was waited for did not happen in time."""


async def until(history: History, condition: Callable[[], object], what: Callable[[], str], timeout_s: float) -> None:
    """Return once a condition holds.

    Args:
        history: whatever changes the condition adds an event to it, then or before.
        condition: true once it holds.
        what: says what is waited for, and how things stand instead.
        timeout_s: by the loop's time.

    Raises:
        NotSeen: it does not hold after so long.
    """
    changed = asyncio.Event()

    def listener(_event: Event) -> None:
        changed.set()

    stop = history.listen(listener)
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                changed.clear()
                await changed.wait()
    except TimeoutError:
        raise NotSeen(f"after {timeout_s:g} s of waiting: {what()}") from None
    finally:
        stop()
