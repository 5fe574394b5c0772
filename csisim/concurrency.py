"""Parallel steps whose failure is neither lost nor left running."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from csisim.errors import NasIndeterminate

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@overload
async def together(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def together(
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], third: Coroutine[Any, Any, C], /
) -> tuple[A, B, C]: ...
async def together(*steps: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """Run the steps at once and return their results in order.

    When one fails, the others are cancelled and awaited before its error is raised. Of several errors an indeterminate
    one is raised, because then the effect is unknown whatever the others say; else the first.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(step) for step in steps]
    except BaseExceptionGroup as group:
        errors = [each for each in group.exceptions if isinstance(each, NasIndeterminate)]
        raise (errors or group.exceptions)[0] from None
    return tuple(task.result() for task in running)
