"""What a drawing is made on: places to percent, and which bars are too narrow to be drawn one by one."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from csisim.reports.axis import Axis
from csisim.reports.text import seconds
from csisim.reports.timeline import Bar, Lane, Timeline

NARROWEST_PX, WIDEST_PX = 1_080, 14_000
_PER_EVENT_PX = 3.0
_MOST_SHAPES = 6_000
_JOINED_PX = 30


@dataclass(frozen=True, slots=True)
class Badge:
    """A numbered point of a violation: which event, what to write, and the id of the line that tells it."""

    seq: int
    label: str
    told_at: str


class Picture:
    """The width of a drawing, and what is where in it.

    Args:
        axis: where each event is.
        linked: numbers of the events that have a line of their own on the page.
        badges: points of violations; their bars are never joined with others.

    Attributes:
        width: in pixels, as first shown.
        apart: bars nearer than so many pixels are joined.
        heights: the middle of the bar or mark of each event that was drawn.
    """

    def __init__(self, axis: Axis, linked: Collection[int], badges: Collection[Badge]) -> None:
        self.axis = axis
        self.linked = linked
        self.marked: Mapping[int, Badge] = {badge.seq: badge for badge in badges}
        self.width = int(min(WIDEST_PX, max(NARROWEST_PX, _PER_EVENT_PX * len(axis.seqs))))
        self.apart = 0.7
        self.heights: dict[int, float] = {}

    def fit(self, told: Timeline, most: int = _MOST_SHAPES) -> None:
        """Join as many neighbours as it takes to draw no more shapes than that."""
        marks = sum(len(lane.marks) for lane in told.lanes)
        while self.apart < self.width:
            shapes = sum(1 for lane in told.lanes for _ in self.clusters(lane))
            if shapes + marks / (1 + self.apart) <= most:
                return
            self.apart *= 2

    def x(self, seq: int | None) -> str:
        """Where an event is, in percent; None: the end."""
        return percent(self.axis.place(seq))

    def pixels(self, start: float, end: float) -> float:
        """From place to place."""
        return (end - start) * self.width

    def time(self, seq: int | None) -> str:
        """When an event was."""
        return "before the first event" if seq is None else seconds(self.axis.times[self.axis.index(seq)])

    def start(self, bar: Bar) -> float:
        """The place where a bar begins."""
        return 0.0 if bar.start is None else self.axis.place(bar.start)

    def link(self, shape: str, seq: int | None) -> str:
        """The shape, leading to the event's line where there is one."""
        return f'<a href="#e{seq}">{shape}</a>' if seq in self.linked else shape

    def clusters(self, lane: Lane) -> Iterator[tuple[int, list[Bar]]]:
        """Bars by row; the narrow neighbours among them together."""
        rows: dict[int, list[Bar]] = {}
        for row, bar in lane.bars:
            rows.setdefault(row, []).append(bar)
        for row, bars in rows.items():
            cluster: list[Bar] = []
            for bar in sorted(bars, key=lambda each: each.start or 0):
                if cluster and not self._joined(cluster, bar):
                    yield row, cluster
                    cluster = []
                cluster.append(bar)
            yield row, cluster

    def _joined(self, cluster: list[Bar], bar: Bar) -> bool:
        if not (self._small(bar) and self._small(cluster[-1])):
            return False
        start = self.start(bar)
        near = self.pixels(self.axis.place(cluster[-1].end), start) <= self.apart
        return near and self.pixels(self.start(cluster[0]), start) <= _JOINED_PX * self.apart

    def _small(self, bar: Bar) -> bool:
        if not self.marked.keys().isdisjoint({bar.start, bar.end}):
            return False
        return self.pixels(self.start(bar), self.axis.place(bar.end)) <= 3 * self.apart


def percent(place: float) -> str:
    """Of the width; precise enough to tell neighbours in a wide picture apart."""
    return f"{100 * place:.3f}%"
