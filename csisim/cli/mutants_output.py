"""The table that `csisim mutants hunt` prints."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from csisim.reports.text import counted

if TYPE_CHECKING:
    from csisim.explore.hunted import Effort, Hunted

_REAL: Final = "real"


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
        wall = f" {'wall ms':>8}" if name == _REAL else ""
        columns.append(f"{name + ':':<5} {'found':>6} {'schedules':>9} {'CPU ms':>8}{wall} {'times':>7}")
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
        wall = f" {_each(other, other.wall_ms):>8}" if name == _REAL else ""
        columns.append(
            f"{'':<5} {_found(other):>6} {_each(other, other.runs, 1):>9} {_each(other, other.cpu_ms):>8}{wall} "
            f"{_times(hunted, name):>7}"
        )
    return " | ".join(columns)


def sums(found: Sequence["Hunted"], against_s: float) -> list[str]:
    """What the rows come to, a line each.

    Args:
        found: the rows.
        against_s: how long the campaigns of another way may take together.
    """
    missed = [each.name for each in found if not each.effort.found]
    lines = [f"{counted(len(found) - len(missed), 'mutant')} of {len(found)} found in every campaign"
             + (f"; not {', '.join(missed)}" if missed else "")]  # fmt: skip
    shrunk = [one.deviations for each in found for one in each.shrunk]
    if shrunk:
        lines.append(f"{counted(len(shrunk), 'hit')} shrunk, the smallest of each, to at most "
                     f"{counted(max(shrunk), 'deviation')}")  # fmt: skip
    if any(each.against for each in found):
        lines.append(f"times: how much longer until a hit than the simulation's processor time; {_REAL} by the clock, "
                     f"others by processor time. Each was given {against_s:g} s for a mutant; > where that brought no "
                     f"hit")  # fmt: skip
    return lines


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
