"""SIGINT and SIGTERM to a command that makes many runs: it stops, and tells of those that it has made."""

import asyncio
import signal
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final, NoReturn

import typer

BROKEN: Final = 3
"""The exit status where a worker has died."""


@dataclass(slots=True)
class End:
    """How the work came to its end.

    Attributes:
        signal: that ended it before its time; 0 for none.
        death: of a worker, which ended it.
    """

    signal: int = 0
    death: BrokenExecutor | None = None

    @property
    def status(self) -> int:
        """The exit status that stands for the signal, as shells count it: 130 or 143; 0 without one."""
        return 128 + self.signal if self.signal else 0


def interrupted(end: End, how_far: str = "") -> int:
    """Say so, and how far it came; gives the exit status."""
    typer.echo(f"interrupted{how_far}", err=True)
    return end.status


def stopped(command: str, end: End, how_far: str) -> int:
    """Say what has stopped a command with workers, if anything has; gives the exit status, 0 if nothing has.

    Args:
        command: its name.
        end: a signal goes before the death of workers, which may have had the same one.
        how_far: it came.
    """
    if end.signal:
        return interrupted(end, how_far)
    if end.death is None:
        return 0
    said = f"a worker has died{how_far}, and what was found until then is shown: {end.death}"
    typer.echo(f"csisim {command}: {said}", err=True)
    return BROKEN


@contextmanager
def until_signalled() -> Iterator[End]:
    """Run the body until it ends, or until the first of these signals; a second one ends the process as ever.

    What is left of the run that was cut off ends with the process, and in silence.
    """
    end = End()

    def terminated(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, before)
        end.signal = number
        _interrupt(frame)

    before = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    signal.signal(signal.SIGTERM, terminated)
    try:
        yield end
    except KeyboardInterrupt:
        end.signal = end.signal or signal.SIGINT
        sys.unraisablehook = lambda _: None
        warnings.simplefilter("ignore", RuntimeWarning)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def until_stopped() -> Iterator[End]:
    """The same for a body with workers: it ends when one of them has died, too."""
    with until_signalled() as end:
        try:
            yield end
        except BrokenExecutor as error:
            end.death = error


def _interrupt(frame: FrameType | None) -> None:
    """Do as SIGINT does: an error in the middle of an event loop, or below of gRPC, would tear up what they hold."""
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler) and handler is not signal.default_int_handler:  # asyncio.run has one that cancels its task
        handler(signal.SIGINT, frame)
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None
    if not isinstance(loop, asyncio.SelectorEventLoop):  # a simulated one is made for this
        raise KeyboardInterrupt
    # SIGINT is ignored, as in what a shell has put into the background, or the loop is about to end.
    loop.call_soon_threadsafe(_raise)


def _raise() -> NoReturn:
    raise KeyboardInterrupt
