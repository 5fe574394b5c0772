"""The calls in flight, readable from any thread."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NasTask:
    """One call whose answer is outstanding.

    Attributes:
        id: JSON-RPC id, never used twice.
        method: such as pool.dataset.create.
        started_s: loop time at which it was sent.
        attempt: 1 for the first sending of the call.
        given_up: nobody waits for the answer any more, but the NAS may still be working on it.
    """

    id: int
    method: str
    started_s: float
    attempt: int
    given_up: bool = False


class TaskMap:
    """Calls in flight by id.

    The event loop writes; metrics read from another thread. Every access, reads included, holds the lock, and only
    immutable tasks and fresh containers leave it.
    """

    __slots__ = ("_lock", "_tasks")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[int, NasTask] = {}

    def upsert(self, task: NasTask) -> None:
        """Add the task, or replace the one with its id in place."""
        with self._lock:
            self._tasks[task.id] = task

    def remove(self, task_id: int) -> None:
        """Forget the task; an unknown id is fine."""
        with self._lock:
            self._tasks.pop(task_id, None)

    def count(self) -> int:
        """How many calls are in flight now."""
        with self._lock:
            return len(self._tasks)

    def snapshot(self) -> tuple[NasTask, ...]:
        """All calls in flight at one moment, oldest first."""
        with self._lock:
            return tuple(self._tasks.values())
