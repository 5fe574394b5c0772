"""The picture of a timeline as SVG that needs no script: places are percents of its width, so it can be stretched."""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from csisim.reports.axis import Axis
from csisim.reports.backdrop import HEAD_PX, LETTER_PX, backdrop, points
from csisim.reports.markup import tag, text
from csisim.reports.picture import NARROWEST_PX, Badge, Picture, percent
from csisim.reports.text import counted, plain
from csisim.reports.timeline import Bar, Lane, Mark, Timeline

_ROW_PX: Final = 13
_BAR_PX: Final = 10
_GROUP_PX: Final = 20
_PAD_PX: Final = 7
_NAMES_PX: Final = 190
# The look of joined bars is that of the one which wants attention most.
_WORST: Final = ("info", "fail", "open")
_MARKS: Final = {"fault": "M0 10 L5 0 L10 10 Z", "crash": "M1 1 L9 9 M9 1 L1 9", "refused": "M5 0 V10"}
_NOTE: Final = "M5 1 L9 5 L5 9 L1 5 Z"
_MOST_SEQS: Final = 20


def draw(
    told: Timeline, places: Axis, badges: Sequence[Badge], decides: Sequence[int], linked: Collection[int]
) -> tuple[str, str]:
    """The chart as markup, and a note about what is not drawn one by one ("" if everything is).

    Args:
        told: the lanes.
        places: where each event is.
        badges: points of violations.
        decides: numbers of the steps without which all would have gone well.
        linked: numbers of the events that have a line of their own on the page.
    """
    picture = Picture(places, linked, badges)
    picture.fit(told)
    names: list[str] = []
    shapes: list[str] = []
    joined = 0
    y = HEAD_PX
    group = ""
    for lane in told.lanes:
        if lane.group != group:
            group = lane.group
            names.append(tag("text", text(group), class_="group", x=8, y=y + 14))
            y += _GROUP_PX
        names.append(_name(lane, y))
        drawn = list(_lane(lane, y, picture))
        joined += len(lane.bars) + len(lane.marks) - len(drawn)
        y += lane.rows * _ROW_PX + _PAD_PX
        shapes += [*drawn, tag("line", None, class_="rule", x1=0, x2="100%", y1=y - 0.5, y2=y - 0.5)]
    hidden = sum(lane.hidden for lane in told.lanes)
    back = backdrop(told, picture, y)
    front = points(badges, decides, picture, y)
    return _chart(names, [*back, *shapes, *front], picture.width, y + 4), _note(joined, hidden)


def _chart(names: list[str], shapes: list[str], width: int, height: int) -> str:
    stripes = tag("rect", None, class_="hatch0", width=5, height=5) + tag(
        "rect", None, class_="hatch1", width=2.4, height=5
    )
    hatch = tag(
        "pattern", stripes, id="hatch", width=5, height=5, patternUnits="userSpaceOnUse", patternTransform="rotate(45)"
    )
    column = tag("svg", "".join(names), class_="names", width=_NAMES_PX, height=height, aria_hidden="true")
    inner = "\n".join([tag("defs", hatch), *shapes])
    lanes = tag(
        "svg", inner, id="lanes", width=width, height=height, role="img", aria_label="Lanes over the time of the run",
        class_="long" if width > NARROWEST_PX else None,
    )  # fmt: skip
    return tag("div", column + tag("div", lanes, class_="scroll", tabindex=0), class_="chart")


def _note(joined: int, hidden: int) -> str:
    notes = []
    if joined:
        notes.append(f"{joined:,} bars and marks are too narrow to stand alone: joined with their neighbours, and pale")
    if hidden:
        notes.append(f"{counted(hidden, 'bar')} not drawn, because too much overlaps in their lanes")
    return "; ".join(notes)


def _name(lane: Lane, y: float) -> str:
    hidden = tag("tspan", f" +{lane.hidden}", class_="more") if lane.hidden else ""
    return tag("text", tag("title", text(lane.title)) + text(_clipped(lane.title, 27)) + hidden, x=8, y=y + 13)


def _lane(lane: Lane, y: float, picture: Picture) -> Iterator[str]:
    """The shapes of a lane; where each of its events is drawn is noted in the picture."""
    for row, cluster in picture.clusters(lane):
        top = y + _PAD_PX / 2 + row * _ROW_PX
        picture.heights |= dict.fromkeys(_seqs(cluster), top + _BAR_PX / 2)
        yield _bar(cluster, top, picture)
    spots: set[tuple[str, int]] = set()
    for mark in lane.marks:
        picture.heights[mark.seq] = y + (_PAD_PX + _BAR_PX) / 2
        spot = (mark.look, int(picture.axis.place(mark.seq) * picture.width / picture.apart))
        if spot not in spots or mark.seq in picture.marked:
            spots.add(spot)
            yield _mark(mark, y + _PAD_PX / 2, picture)


def _seqs(cluster: list[Bar]) -> list[int]:
    return [seq for bar in cluster for seq in (bar.start, bar.end) if seq is not None]


def _bar(cluster: list[Bar], top: float, picture: Picture) -> str:
    begin, end = picture.start(cluster[0]), picture.axis.place(cluster[-1].end)
    looks = {bar.look for bar in cluster}
    many = len(cluster) > 1
    look = next((each for each in _WORST if each in looks), cluster[0].look) if many else cluster[0].look
    seqs = _seqs(cluster[:_MOST_SEQS])
    wrong = "" if picture.marked.keys().isdisjoint(seqs) else " wrong"
    rect = tag(
        "rect", tag("title", text(_title(cluster, picture))), class_=f"b {look}{wrong}{' many' if many else ''}",
        x=percent(begin), y=top, width=percent(max(0.0, end - begin)), height=_BAR_PX, rx=1.5,
        data_e=" ".join(map(str, seqs)),
    )  # fmt: skip
    room = int((picture.pixels(begin, end) - 6) / LETTER_PX)
    label = _clipped(str(len(cluster)) if many else cluster[0].label, room)
    shown = tag("text", text(label), class_="in", x=percent(begin), dx=4, y=top + 8.3) if label else ""
    return picture.link(rect + shown, next(iter(seqs), None))


def _clipped(label: str, room: int) -> str:
    """What fits; nothing where too little would."""
    if len(label) <= room:
        return label
    return f"{label[: room - 1]}…" if room >= 6 else ""


def _title(cluster: list[Bar], picture: Picture) -> str:
    at = picture.time(cluster[0].start)
    if len(cluster) == 1:
        return plain(f"{at}: {cluster[0].title}", 200)
    looks = [bar.look for bar in cluster]
    return f"{len(cluster)} from {at}: {', '.join(f'{looks.count(look)} {look}' for look in dict.fromkeys(looks))}"


def _mark(mark: Mark, top: float, picture: Picture) -> str:
    title = tag("title", text(plain(f"{picture.time(mark.seq)}: {mark.title}", 200)))
    path = tag("path", None, transform="translate(-5 0)", d=_MARKS.get(mark.look, _NOTE))
    # A nested svg, because only that can be put at a percent.
    shape = tag(
        "svg", title + path, class_=f"m {mark.look}", x=picture.x(mark.seq), y=top, width=10, height=10,
        overflow="visible", data_e=mark.seq,
    )  # fmt: skip
    return picture.link(shape, mark.seq)
