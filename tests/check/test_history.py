"""Histories as JSON lines."""

import io
import json
from typing import Any

import pytest

from csisim.check import history
from csisim.check.history import HistoryError, dump, load
from csisim.events import Event, History

LINE: dict[str, Any] = {"seq": 1, "at_s": 0.5, "type": "invoke", "kind": "rpc", "f": "Probe"}


def line(**changed: Any) -> str:
    return json.dumps({**LINE, **changed})


def test_what_is_written_is_read_back() -> None:
    told = History(lambda: 1.25)
    told.add("invoke", "call", "CreateVolume", call="c1", process="client-1", value={"name": "büro\ud800\n"})
    told.add("ok", "call", "CreateVolume", call="c1", process="client-1", parent="c0")
    lines = list(dump(told.since()))
    assert all(text.isascii() and text.endswith("\n") for text in lines)
    assert [event.to_json() for event in load(lines)] == [event.to_json() for event in told.since()]


def test_empty_lines_are_skipped() -> None:
    assert load(io.StringIO(f"\n{line()}\n\n")) == [Event(1, 0.5, "invoke", "rpc", "Probe")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: an event is an object, not \\[1\\]"),
        ("[" * 100_000, "line 1: (too deeply nested|not JSON)"),
        (line(seq=0), "seq: 0 is not a whole number"),
        (line(seq=True), "seq: True is not"),
        (line(seq="1"), "seq: '1' is not"),
        (line(at_s="now"), "at_s: 'now' is not a time"),
        (line(at_s=float("nan")), "at_s: nan is not a time"),
        (line(at_s=10**400), "at_s: 1000+\\.\\.\\. is not a time"),
        (line(type="done"), "type: 'done' is none of fail, info, invoke, ok"),
        (line(kind=["rpc"]), "kind: \\['rpc'\\] is none of call, data"),
        (line(f=""), "f: missing"),
        (line(call=7), "call: 7 is not a text"),
        (line(process="x" * 5000), "process: 'x+\\.\\.\\. is not a text of at most 4096"),
        (line(value="v"), "value: 'v' is not an object"),
        (line(colour="red"), "unknown member 'colour'"),
    ],
)
def test_a_line_that_is_no_event_is_refused(text: str, reason: str) -> None:
    with pytest.raises(HistoryError, match=reason):
        load([text])


def test_numbers_and_times_must_grow() -> None:
    with pytest.raises(HistoryError, match="line 2: seq 1 comes after 1"):
        load([line(), line()])
    with pytest.raises(HistoryError, match=r"line 2: at_s 0.25 is before 0.5"):
        load([line(), line(seq=2, at_s=0.25)])


def test_there_are_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MAX_EVENTS", 1)
    monkeypatch.setattr(history, "MAX_LINE", 200)
    with pytest.raises(HistoryError, match="line 2: more than 1 events"):
        load([line(), line(seq=2)])
    with pytest.raises(HistoryError, match="line 1: 1000 characters"):
        load(["x" * 1000])
