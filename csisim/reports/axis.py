"""Where on the page a moment is: virtual time with its silences cut, and room for what happens in one instant.

Virtual time has bursts in which many things happen at one moment, and silences of minutes. So a place is the sum of
three parts: the time that passed, with long silences cut to a fixed width (and drawn as a break with their length);
and one small step per event, so that the order within an instant can be seen.
"""

import itertools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from csisim.reports.record import Entry
from csisim.reports.text import duration

_MOST_BREAKS: Final = 24
# What is cut lasts longer than this part of all that is not cut yet, and so many times longer than usual.
_LONG: Final = 0.05
_UNUSUAL: Final = 10
_BREAK_SHARE: Final = 0.018
_ALL_BREAKS: Final = 0.3
_ORDER_SHARE: Final = 0.4
_MARGIN: Final = 0.002


@dataclass(frozen=True, slots=True)
class Break:
    """A silence that was cut: from place to place, and its length."""

    start: float
    end: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Axis:
    """Places from 0 to 1.

    Attributes:
        seqs, times, places: of each event, in order.
        breaks: the cut silences, in order.
    """

    seqs: Sequence[int]
    times: Sequence[float]
    places: Sequence[float]
    breaks: Sequence[Break]

    def place(self, seq: int | None) -> float:
        """Where the event of that number is; None: the end."""
        return 1.0 if seq is None or not self.seqs else self.places[self.index(seq)]

    def index(self, seq: int) -> int:
        """The position of the event with that number, or else of the next one."""
        near = seq - self.seqs[0]  # nothing is missing, as a rule
        if 0 <= near < len(self.seqs) and self.seqs[near] == seq:
            return near
        return min(bisect_left(self.seqs, seq), len(self.seqs) - 1)

    def ticks(self, apart: float) -> list[tuple[float, str]]:
        """Places and times to write there, at least so far apart: round times, and the first moment after a break."""
        if not self.times:
            return []
        begins = {round(each.end, 9) for each in self.breaks}
        step = _round_step((self.times[-1] - self.times[0] - sum(each.length_s for each in self.breaks)) * apart * 1.2)
        candidates = [(self.places[0], self.times[0])]
        for number in range(1, len(self.times)):
            before, time = self.times[number - 1], self.times[number]
            if round(self.places[number], 9) in begins:
                candidates.append((self.places[number], time))
            elif step and time > before:
                candidates += self._between(number, step)
        kept: list[tuple[float, str]] = []
        for place, time in candidates:
            if (not kept or place - kept[-1][0] >= apart) and place <= 1 - apart / 2:
                kept.append((place, _label(time, step)))
        return kept

    def _between(self, number: int, step: float) -> list[tuple[float, float]]:
        """The first round time between two events; a second one would be too near."""
        before, time = self.times[number - 1], self.times[number]
        first = math.floor(before / step + 1) * step
        found: list[tuple[float, float]] = []
        while first <= time and len(found) < 100:
            part = (first - before) / (time - before)
            found.append((self.places[number - 1] + part * (self.places[number] - self.places[number - 1]), first))
            first += step
        return found


def axis(entries: Sequence[Entry]) -> Axis:
    """The places of all events."""
    times = [entry.at_s for entry in entries]
    gaps = [max(0.0, after - before) for before, after in itertools.pairwise(times)]
    cut = _cut(gaps)
    rest_s = sum(gap for number, gap in enumerate(gaps) if number not in cut)
    inside = 1 - 2 * _MARGIN
    width = min(_BREAK_SHARE, _ALL_BREAKS / max(1, len(cut))) * inside
    for_order = (_ORDER_SHARE if rest_s else 1.0) * (inside - width * len(cut))
    for_time = inside - width * len(cut) - for_order
    place = _MARGIN
    places = [place] if entries else []
    breaks = []
    for number, gap in enumerate(gaps):
        place += for_order / len(gaps)
        if number in cut:
            breaks.append(Break(place, place + width, gap))
            place = breaks[-1].end
        elif rest_s:
            place += for_time * gap / rest_s
        places.append(place)
    return Axis([entry.seq for entry in entries], times, places, breaks)


def _cut(gaps: Sequence[float]) -> frozenset[int]:
    """Which silences are cut: the longest, while they are long beside the rest."""
    left_s = sum(gaps)
    usual = sorted(gap for gap in gaps if gap)
    least_s = _UNUSUAL * usual[len(usual) // 2] if usual else 0.0
    cut: list[int] = []
    for number in sorted(range(len(gaps)), key=lambda each: -gaps[each])[:_MOST_BREAKS]:
        if gaps[number] <= max(least_s, _LONG * left_s):
            break
        cut.append(number)
        left_s -= gaps[number]
    return frozenset(cut)


def _round_step(about_s: float) -> float:
    if about_s <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(about_s))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= about_s * 0.999999)


def _label(time_s: float, step: float) -> str:
    digits = min(6, max(0, -math.floor(math.log10(step)))) if step else 3
    return f"{time_s:,.{max(digits, 1)}f} s" if time_s else "0 s"


def length(each: Break) -> str:
    """What is written at a break."""
    return duration(each.length_s)
