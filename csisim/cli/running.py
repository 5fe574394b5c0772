"""What every command that serves has in common: its event loop, its log, and its end on a signal."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeVar

import typer

T = TypeVar("T")


class Serving(Protocol):
    """A running driver or proxy."""

    async def stop_serving(self, grace_s: float | None = None) -> None:
        """Take no more calls and wait for the running ones; may be called again, with less patience."""


class Signals:
    """SIGTERM and SIGINT: the first one drains, a second one no longer waits for running calls.

    Made inside of the event loop, before anything is started.
    """

    def __init__(self) -> None:
        self._asked, self._hurried = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled)

    async def drained(self, serving: Serving) -> None:
        """Serve until asked to end, then until nothing runs any more."""
        await self._asked.wait()
        draining = asyncio.create_task(serving.stop_serving())
        hurry = asyncio.create_task(self._hurried.wait())
        await asyncio.wait((draining, hurry), return_when=asyncio.FIRST_COMPLETED)
        if hurry.done():
            await serving.stop_serving(grace_s=0.0)
        hurry.cancel()
        await draining

    def _signalled(self) -> None:
        (self._hurried if self._asked.is_set() else self._asked).set()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end on the fastest event loop there is; its clock ticks in milliseconds."""
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform == "linux":
        import uvloop  # noqa: PLC0415 - not installed elsewhere

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


@contextlib.contextmanager
def log_stream(path: Path | None) -> Iterator[TextIO | None]:
    """The file that --log-file names, readable by its owner alone; None stands for standard error."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint="--log-file") from error
    with os.fdopen(descriptor, "a", buffering=1) as stream:
        yield stream
