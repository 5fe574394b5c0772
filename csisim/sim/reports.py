"""What live tasks wait for, as text: no addresses, the same in every process."""

import asyncio
import types
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from csisim.sim.steps import Candidate, name_of

_PRIMITIVES = (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue, asyncio.Barrier)


def waiting(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Each task with its await stack, outermost first, and what the innermost waits on; tasks of any loop."""
    return "\n".join(_task(task) for task in sorted(tasks, key=_order))


def step_name(step: Candidate) -> str:
    """The task of a step, or the name of the callback; with the lane."""
    name = step.task.get_name() if step.task is not None else name_of(step._callback)  # noqa: SLF001 - asyncio's own report reads it too
    return f"{name} [{step.lane}]" if step.lane else name


def _order(task: asyncio.Task[Any]) -> tuple[int, str]:
    return getattr(task, "seq", 0), task.get_name()


def _task(task: asyncio.Task[Any]) -> str:
    frames = _frames(task.get_coro())
    stack = [f"  {PurePath(frame.f_code.co_filename).name}:{line} {frame.f_code.co_qualname}" for frame, line in frames]
    waits = f"  waits for {_awaited(task, [frame for frame, _ in frames])}"
    return "\n".join([f"{task.get_name()}:", *stack, waits])


def _frames(coro: Any) -> list[tuple[types.FrameType, int]]:
    """The chain of awaits. It ends at an asynchronous generator: Python does not tell what that awaits."""
    found: list[tuple[types.FrameType, int]] = []
    while coro is not None:
        frame = getattr(coro, "cr_frame", None) or getattr(coro, "gi_frame", None)
        if frame is not None:
            found.append((frame, frame.f_lineno))
        coro = getattr(coro, "cr_await", None) or getattr(coro, "gi_yieldfrom", None)
    return found


def _awaited(task: asyncio.Task[Any], frames: list[types.FrameType]) -> str:
    future = getattr(task, "_fut_waiter", None)
    if isinstance(future, asyncio.Task):
        return f"the task {future.get_name()}"
    mine = frames[-1].f_locals.get("self") if frames else None
    if isinstance(mine, _PRIMITIVES):
        return _primitive(mine)
    return "its turn" if future is None else "a future that nobody completes"


def _primitive(mine: Any) -> str:
    held = ""
    if isinstance(mine, asyncio.Lock | asyncio.Semaphore | asyncio.Condition):
        held = ", which is held" if mine.locked() else ", which is free"
    return f"an asyncio.{type(mine).__name__}{held}"
