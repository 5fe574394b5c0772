from xml.etree import ElementTree as ET

from csisim.check.verdicts import Violation
from csisim.reports.junit import suite
from tests.reports.runs_told import data_loss, report


def root(*reports: dict) -> ET.Element:
    return ET.fromstring(suite(reports))  # noqa: S314 - it is our own


def test_each_check_is_a_case_and_a_violation_fails_it_with_the_line_that_replays_it() -> None:
    given, _ = data_loss()
    suites = root(given)
    (found,) = suites
    assert (suites.tag, found.tag) == ("testsuites", "testsuite")
    assert [case.get("name") for case in found] == [
        "I1: No data is lost",
        "I3: Nothing is left behind",
        "I6: A mount is what it was said to be",
        "I13: Snapshots keep their content",
    ]
    (failure,) = found.iter("failure")
    assert "the NAS destroyed" in failure.get("message", "")
    assert "Why it is wrong: Bytes behind" in (failure.text or "")
    assert (failure.text or "").endswith("replay: csisim replay csisim1-7-abc")


def test_counts_add_up() -> None:
    given, _ = data_loss()
    (found,) = root(given, report(seed=8))
    assert found.attrib == {
        "name": "csisim",
        "tests": "8",
        "failures": "1",
        "errors": "0",
        "skipped": "2",
        "time": "188.500",
    }
    assert len(found) == 8
    assert sum(float(case.get("time", "")) for case in found) == 188.5


def test_with_many_seeds_each_case_says_its_seed() -> None:
    names = [case.get("name") for case in root(report(seed=1), report(seed=2)).iter("testcase")]
    assert names[0] == "I1: No data is lost [seed 1]"
    assert len(set(names)) == len(names)


def test_what_was_not_decided_is_not_passed() -> None:
    undecided = report(verdict="unknown", unknown={"I1": "budget spent"})
    undecided["invariants"]["I1"] = "unknown"
    (failure,) = root(undecided).iter("failure")
    assert (failure.get("type"), failure.get("message")) == ("unknown", "budget spent")


def test_a_check_that_judged_nothing_is_skipped() -> None:
    (skipped,) = root(report()).iter("skipped")
    assert skipped.get("message") == "the run never came near it"


def test_several_violations_of_one_check_are_one_failure() -> None:
    (failure,) = root(report(*[Violation("I8", f"call {number} got INTERNAL", "why") for number in range(3)])).iter(
        "failure"
    )
    assert failure.get("message") == "call 0 got INTERNAL (and 2 more)"
    assert (failure.text or "").count("Why it is wrong") == 3


def test_a_verdict_without_its_violation_still_fails() -> None:
    given = report()
    given["invariants"]["I6"] = "violation"
    assert len(list(root(given).iter("failure"))) == 1


def test_hostile_texts_stay_texts_and_short() -> None:
    hostile = ']]></failure><script>"&\x00\x0b\ud800\ufffe' + "x" * 10_000_000
    given = report(
        Violation(hostile, hostile, hostile, (), 0.0, hostile), seed=hostile, replay=hostile, unknown={hostile: hostile}
    )
    text = suite([given, given])
    assert len(text) < 1_000_000
    text.encode()
    read = ET.fromstring(text)  # noqa: S314 - it is our own
    assert {element.tag for element in read.iter()} == {"testsuites", "testsuite", "testcase", "failure", "skipped"}


def test_no_runs_are_no_cases() -> None:
    assert root()[0].get("tests") == "0"
