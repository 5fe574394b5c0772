"""The table that `csisim mutants hunt` prints, and the file that it writes."""

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from csisim.explore.hunted import BY_CLOCK
from csisim.reports.text import counted

if TYPE_CHECKING:
    from csisim.explore.hunted import Effort, Hunted


def head(against: Sequence[str]) -> str:
    """The line above the rows.

    Args:
        against: other ways to search, by name.
    """
    first = (
        f"{'mutant':<14} {'found':>6} {'schedules':>9} {'most':>6} {'CPU ms':>8} {'hit rate (95 %)':>25} "
        f"{'deviations':>10} {'shrunk':>6} {'replayed':>8}"
    )
    columns = [first]
    for name in against:
        wall = f" {'wall ms':>8}" if name in BY_CLOCK else ""
        columns.append(f"{name + ':':<8} {'found':>6} {'schedules':>9} {'CPU ms':>8}{wall} {'times':>7}")
    return " | ".join(columns)


def row(hunted: "Hunted") -> str:
    """One mutant; a hyphen for what is not known, and > before what was not enough."""
    shown, own = hunted.to_json(), hunted.effort
    rate = f"{shown['hit_rate']:.2%} ({shown['hit_rate_low']:.2%}..{shown['hit_rate_high']:.2%})"
    replayed = f"{hunted.reproduced}/{hunted.replays}" if hunted.replays else "-"
    deviations = "-" if shown["deviations"] is None else str(shown["deviations"])
    most = str(max(own.schedules, default="-"))
    first = (
        f"{hunted.name:<14} {_found(own):>6} {_each(own, own.runs, 1):>9} {most:>6} {_each(own, own.cpu_ms):>8} "
        f"{rate:>25} {deviations:>10} {len(hunted.shrunk):>6} {replayed:>8}"
    )
    columns = [first]
    for name, other in hunted.against.items():
        wall = f" {_each(other, other.wall_ms):>8}" if name in BY_CLOCK else ""
        columns.append(
            f"{'':<8} {_found(other):>6} {_each(other, other.runs, 1):>9} {_each(other, other.cpu_ms):>8}{wall} "
            f"{_times(hunted, name):>7}"
        )
    return " | ".join(columns)


def sums(found: Sequence["Hunted"], against_s: float, left: int = 0) -> list[str]:
    """What the rows come to, a line each.

    Args:
        found: the rows.
        against_s: how long the campaigns of another way may take together.
        left: how many mutants were not hunted to the end.
    """
    missed = [each.name for each in found if not each.effort.found]
    lines = [f"{counted(len(found) - len(missed), 'mutant')} of {len(found)} found in every campaign"
             + (f"; not {', '.join(missed)}" if missed else "")
             + (f"; INCOMPLETE, {left} more not hunted to the end" if left else "")]  # fmt: skip
    shrunk = [one.deviations for each in found for one in each.shrunk]
    if shrunk:
        lines.append(f"{counted(len(shrunk), 'hit')} shrunk, the smallest of each, to at most "
                     f"{counted(max(shrunk), 'deviation')}")  # fmt: skip
    if any(each.against for each in found):
        lines.append(f"times: how much longer until a hit than the simulation's processor time; fifo by processor "
                     f"time, the others by the clock. Each was given {against_s:g} s for a mutant; > where that "
                     f"brought no hit")  # fmt: skip
    return lines


def shown(found: Sequence["Hunted"]) -> str:
    """As JSON."""
    return json.dumps([each.to_json() for each in found])


class Results:
    """A file with what was found by now, whole at every moment: it is written beside, and put in its place.

    Args:
        path: of the file; None: there is none.

    Attributes:
        lost: what was found last could not be written.

    Raises:
        typer.BadParameter: it cannot be written, which is asked before a hunt of half an hour, not after it.
    """

    def __init__(self, path: Path | None) -> None:
        self.lost = False
        self._told = False
        # A link stays one, and what it leads to is exchanged.
        self._path = None if path is None else Path(os.path.realpath(path))
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.open("a").close()
            if self._path.is_file():
                _beside(self._path).unlink()
        except OSError as error:
            raise typer.BadParameter(f"{path}: it cannot be written: {error.strerror}", param_hint="--out") from None

    def write(self, found: Sequence["Hunted"]) -> None:
        """Exchange what is in it; the first time that this fails is told on standard error."""
        if self._path is None:
            return
        try:
            _exchange(self._path, shown(found) + "\n")
        except OSError as error:
            self.lost = True
            if not self._told:
                typer.echo(f"csisim mutants hunt: {self._path} could not be written: {error.strerror}", err=True)
            self._told = True
        else:
            self.lost = False


def _exchange(path: Path, text: str) -> None:
    if path.exists() and not path.is_file():  # a pipe or a device has no other place
        path.write_text(text)
        return
    temporary = _beside(path)
    try:
        temporary.write_text(text)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _beside(path: Path) -> Path:
    """An empty file in the same directory, which may be read and written by whom the file may be."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    if path.exists():
        shutil.copymode(path, name)
    return Path(name)


def _found(effort: "Effort") -> str:
    return f"{effort.hits}/{effort.campaigns}"


def _each(effort: "Effort", amount: float, digits: int = 0) -> str:
    mean = effort.each(amount)
    return f">{amount:.0f}" if mean is None else f"{mean:.{digits}f}"


def _times(hunted: "Hunted", name: str) -> str:
    times = hunted.times_longer(name)
    if times is None:
        return "-"
    return f"{'' if hunted.against[name].hits else '>'}{times:.{1 if times < 10 else 0}f}"
