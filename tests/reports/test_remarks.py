"""What stands beside the verdicts."""

from xml.etree import ElementTree as ET

from csisim.reports.html import page
from csisim.reports.junit import suite
from csisim.reports.remarks import idle, remarks
from csisim.reports.story import story
from tests.reports.runs_told import report

DRIVEN = {
    "unseen": {"I13": "no data of a snapshot was read"}, "notes": ["left: volume a, volume b", "data was\nnot checked"],
    "left": ["volume a", "node-1: path <x>"], "driver": {"name": "someones.example", "version": "1.2"},
    "plan": {"endpoint": "unix:///run/csi.sock", "run": "5eed0001"},
}  # fmt: skip
TOLD = ["left: volume a, volume b", "data was not checked", "left: node-1: path <x>"]


def test_what_is_left_is_told_once() -> None:
    assert remarks(DRIVEN) == TOLD
    assert remarks({}) == []


def test_a_check_that_judged_nothing_has_a_reason() -> None:
    assert idle(DRIVEN, "I13") == "no data of a snapshot was read"
    assert idle(DRIVEN, "I1") == idle({}, "I1") == "the run never came near it"


def test_a_page_has_them() -> None:
    text = page(report(**DRIVEN), [])
    assert "<h2>Notes</h2>" in text
    assert "<li>left: node-1: path &lt;x&gt;</li>" in text
    assert "no data of a snapshot was read" in text
    for shown in ("someones.example", "1.2", "unix:///run/csi.sock", "5eed0001"):
        assert f"<dd>{shown}</dd>" in text
    assert "<h2>Notes</h2>" not in page(report(), [])


def test_so_has_junit() -> None:
    (found,) = ET.fromstring(suite([report(**DRIVEN)]))  # noqa: S314 - it is our own
    assert found.findtext("system-out") == "\n".join(TOLD)
    assert [case.get("message") for case in found.iter("skipped")] == ["no data of a snapshot was read"]
    (found,) = ET.fromstring(suite([report(seed=1), report(seed=2, left=["volume c"])]))  # noqa: S314
    assert found.findtext("system-out") == "seed 2: left: volume c"
    (found,) = ET.fromstring(suite([report()]))  # noqa: S314
    assert found.find("system-out") is None


def test_so_has_the_story() -> None:
    text = story(report(verdict="unknown", unknown={"I1": "why"}, **DRIVEN), [])
    assert "Nothing to judge for I13: no data of a snapshot was read\nNote: left: volume a, volume b\n" in text
    assert "Note: left: node-1: path <x>" in text
    many = story(report(notes=[f"note {number}" for number in range(12)]), [])
    assert many.count("Note: ") == 8
    assert "... 4 more notes" in many
