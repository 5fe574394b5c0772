"""SIGINT and SIGTERM to a command that makes many runs: it stops, and tells of those that it has made."""

import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer


@dataclass(slots=True)
class End:
    """How the work came to its end.

    Attributes:
        signal: that ended it before its time; 0 for none.
    """

    signal: int = 0

    @property
    def status(self) -> int:
        """The exit status that stands for the signal, as shells count it: 130 or 143; 0 without one."""
        return 128 + self.signal if self.signal else 0


def interrupted(end: End, how_far: str = "") -> int:
    """Say so, and how far it came; gives the exit status."""
    typer.echo(f"interrupted{how_far}", err=True)
    return end.status


@contextmanager
def until_signalled() -> Iterator[End]:
    """Run the body until it ends, or until the first of these signals; a second one ends the process as ever.

    What is left of the run that was cut off ends with the process, and in silence.
    """
    end = End()

    def terminated(number: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, before)
        end.signal = number
        raise KeyboardInterrupt

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
