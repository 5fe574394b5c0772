"""Verdicts: which outweighs which."""

from csisim.check.verdicts import Result, Violation, worst

FOUND = Violation("I3", "dataset tank/csi/pvc-1 is left", "nothing of ours is left", (7, 9), 1.23456789)


def test_a_violation_outweighs_what_could_not_be_decided() -> None:
    assert Result("I3", 4).verdict == "ok"
    assert Result("I3", 4, unknown="out of budget").verdict == "unknown"
    assert Result("I3", 4, (FOUND,), unknown="out of budget").verdict == "violation"


def test_the_whole_is_as_bad_as_its_worst_part() -> None:
    assert worst([]) == "ok"
    assert worst(["ok", "unknown", "ok"]) == "unknown"
    assert worst(["unknown", "violation", "ok"]) == "violation"


def test_a_violation_as_plain_data() -> None:
    assert FOUND.to_json() == {
        "check": "I3",
        "summary": "dataset tank/csi/pvc-1 is left",
        "why": "nothing of ours is left",
        "events": [7, 9],
        "at_s": 1.234568,
        "detail": "",
    }
