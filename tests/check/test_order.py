"""What is surely done and surely undone."""

import pytest

from csisim.check.order import latest_undo, surely_done, surely_undone
from tests.support.told import Told


def judged(*steps: str) -> tuple[bool, bool]:
    """Whether it is surely done, and surely undone, after steps like `do ok`, `undo maybe`, `undo open`."""
    told = Told()
    for step in steps:
        what, outcome = step.split()
        call = told.begin("call", what)
        if outcome != "open":
            told.end(call, {"ok": "ok", "no": "fail", "maybe": "info"}[outcome])
    now = len(told.events) + 1
    calls = told.index.calls["call"]
    does, undoes = [call for call in calls if call.f == "do"], [call for call in calls if call.f == "undo"]
    return surely_done(does, undoes, now, now) is not None, surely_undone(does, undoes, now, now)


@pytest.mark.parametrize(
    ("steps", "done", "undone"),
    [
        ((), False, True),
        (("do ok",), True, False),
        (("do no",), False, True),
        (("do maybe",), False, False),
        (("do ok", "undo ok"), False, True),
        (("do ok", "undo no"), True, False),
        (("do ok", "undo maybe"), False, False),
        (("do ok", "undo open"), False, False),
        (("do ok", "undo ok", "do ok"), True, False),
        (("undo maybe", "do ok"), False, False),  # it may land late
        (("undo ok", "do ok"), True, False),
        (("do maybe", "undo ok"), False, False),  # it too
        (("do open", "undo ok", "undo ok"), False, False),
    ],
)
def test_sequences(steps: tuple[str, ...], done: bool, undone: bool) -> None:
    assert judged(*steps) == (done, undone)


def test_what_overlaps_is_not_sure() -> None:
    told = Told()
    do = told.begin("call", "do")
    undo = told.begin("call", "undo")
    told.end(do)
    told.end(undo)
    does, undoes = (told.index.calls["call"][:1], told.index.calls["call"][1:])
    assert surely_done(does, undoes, 5, 5) is None
    assert not surely_undone(does, undoes, 5, 5)
    assert surely_done(does, [], 2, 2) is None  # not over by then
    assert latest_undo(undoes, 5) is undoes[0]
    assert latest_undo(undoes, 4) is None
