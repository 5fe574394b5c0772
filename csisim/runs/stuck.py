"""Nothing hangs: what does not end in time is ended, and says what it was waiting for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from csisim.sim.reports import waiting

T = TypeVar("T")


class Stuck(Exception):
    """Something has not ended in time, and was cancelled.

    Attributes:
        report: what each task waited for then.
    """

    def __init__(self, what: str, limit_s: float, report: str) -> None:
        self.report = report
        super().__init__(f"{what} has not ended within {limit_s:g} s")


async def watched(what: str, coroutine: Coroutine[Any, Any, T], limit_s: float) -> T:
    """What the coroutine gives, and its errors.

    Args:
        what: it is, for the error.
        coroutine: runs in a task of its own.
        limit_s: loop time.

    Raises:
        Stuck: it took longer.
    """
    task = asyncio.get_running_loop().create_task(coroutine, name=what)
    try:
        await asyncio.wait((task,), timeout=limit_s)
        if task.done():
            return task.result()
        raise Stuck(what, limit_s, waiting(asyncio.all_tasks()))
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
