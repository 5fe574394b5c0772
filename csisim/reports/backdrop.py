"""What lies behind and above the lanes of a drawing: phases, time, cut silences, faults, points of violations."""

from collections.abc import Iterator, Sequence
from typing import Final

from csisim.reports.axis import length
from csisim.reports.markup import tag, text
from csisim.reports.picture import Badge, Picture, percent
from csisim.reports.timeline import Timeline

HEAD_PX: Final = 54
LETTER_PX: Final = 6.1
_TICKS_PX: Final = 74
_MOST_FAULT_LINES: Final = 40
_TINTS: Final = 4


def backdrop(told: Timeline, picture: Picture, height: int) -> Iterator[str]:
    """All that is drawn before the lanes."""
    yield from _phases(told, picture, height)
    yield from _time(picture, height)
    faults = [mark.seq for lane in told.lanes for mark in lane.marks if mark.look in {"fault", "crash"}]
    for seq in faults if len(faults) <= _MOST_FAULT_LINES else ():
        yield _line("fault", picture.x(seq), HEAD_PX, height)


def points(badges: Sequence[Badge], decides: Sequence[int], picture: Picture, height: int) -> Iterator[str]:
    """All that is drawn after them: the deciding steps, and the points of violations."""
    for seq in decides:
        x = picture.x(seq)
        yield _line("decides", x, HEAD_PX - 8, height)
        diamond = tag("title", "this step decides") + tag("path", None, d="M0 -7 L6 0 L0 7 L-6 0 Z")
        yield tag("svg", diamond, x=x, y=HEAD_PX - 8, overflow="visible", class_="decides", data_e=seq)
    for badge in badges:
        circle = tag("circle", None, r=8) + tag("text", text(badge.label), y=3.4)
        y = picture.heights.get(badge.seq, HEAD_PX)
        shape = tag("svg", circle, x=picture.x(badge.seq), y=y, overflow="visible")
        yield tag("a", shape, href=f"#{badge.told_at}", id=f"at-{badge.told_at}", class_="badge")


def _phases(told: Timeline, picture: Picture, height: int) -> Iterator[str]:
    for number, phase in enumerate(told.phases):
        begin, end = picture.axis.place(phase.start), picture.axis.place(phase.end)
        title = tag("title", text(phase.name))
        yield tag(
            "rect", title, class_=f"phase p{number % _TINTS}", x=percent(begin), y=0, width=percent(end - begin),
            height=height,
        )  # fmt: skip
        if len(phase.name) * LETTER_PX + 4 <= picture.pixels(begin, end):
            yield tag("text", text(phase.name), class_="phase", x=percent(begin), dx=4, y=13)


def _time(picture: Picture, height: int) -> Iterator[str]:
    free = 0.0
    for each in picture.axis.breaks:
        said = length(each)
        title = tag("title", text(f"nothing happened for {said}"))
        width = percent(each.end - each.start)
        yield tag("rect", title, class_="break", x=percent(each.start), y=18, width=width, height=height - 18)
        middle, half = picture.pixels(0, (each.start + each.end) / 2), len(said) * LETTER_PX / 2
        if middle - half >= free:
            free = middle + half
            yield tag("text", text(said), class_="gap", x=percent((each.start + each.end) / 2), y=29)
    for place, label in picture.axis.ticks(_TICKS_PX / picture.width):
        yield _line("tick", percent(place), 34, height)
        yield tag("text", text(label), class_="tick", x=percent(place), dx=3, y=44)


def _line(look: str, x: str, top: int, bottom: int) -> str:
    return tag("line", None, class_=look, x1=x, x2=x, y1=top, y2=bottom)
