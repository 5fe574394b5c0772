import re

from csisim.check.verdicts import Violation
from csisim.reports.story import story
from tests.reports.runs_told import DATASET, TARGET, crowd, data_loss, report


def test_a_stranger_learns_what_happened_in_order_why_it_is_wrong_and_how_to_see_it_again() -> None:
    given, events = data_loss()
    text = story(given, events)
    told = [
        "VIOLATION of I1: seed 7, strategy pct:3",
        f"What happened: the NAS destroyed dataset {DATASET} while node-1 still had it mounted at {TARGET}",
        "Why it is wrong: Bytes behind a published volume",
        "calls CreateVolume(pvc-1)",
        "write(pvc-1 f1): done",
        "lie(ok) at mount.umount, during NodeUnpublishVolume(pvc-1), rule r1",
        "NodeUnpublishVolume(pvc-1): OK",
        "calls DeleteVolume(pvc-1)",
        f"has destroyed dataset {DATASET}",
        "read(pvc-1 f1): ESTALE",
        "replay: csisim replay csisim1-7-abc",
    ]
    places = [text.find(each) for each in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)
    assert "pvc-2" not in text


def test_what_shows_it_is_marked_and_what_is_left_out_is_counted() -> None:
    given, events = data_loss()
    marked = [line for line in story(given, events).splitlines() if line.startswith("  >")]
    assert len(marked) == len(given["violations"][0]["events"])
    assert re.search(r"has destroyed dataset", marked[2])
    assert re.search(r"\+\d+ +NAS +has destroyed", marked[2])
    assert re.search(r"\(\d+ events of the same volume not told", story(given, events))


def test_times_and_actors_stand_in_columns() -> None:
    given, events = data_loss()
    rows = [line for line in story(given, events).splitlines() if re.match(r"  [> ] +[\d.]+ s ", line)]
    assert len({line.index(" s ") for line in rows}) == 1
    assert len(rows) > 20


def test_the_text_stays_about_a_screen_long_however_much_went_wrong() -> None:
    events = crowd(3_000)
    many = [
        Violation("I8", f"client-{number}'s CreateVolume of pvc-{number % 20} got INTERNAL", "why", (number + 5,), 1.0)
        for number in range(500)
    ]
    text = story(report(*many), events)
    assert len(text.splitlines()) <= 60
    assert "and 499 more violations:" in text
    assert "... 491 more" in text


def test_stacks_of_a_deadlock_are_shown_whole() -> None:
    stacks = "\n".join(
        f"task-{number}:\n  controller.py:{number} Controller.delete\n  waits for an asyncio.Lock, which is held"
        for number in range(60)
    )
    text = story(report(Violation("termination", "3 tasks wait for each other", "a run ends", (), 2.0, stacks)), [])
    assert (
        "    task-59:\n      controller.py:59 Controller.delete\n      waits for an asyncio.Lock, which is held\n"
        in text
    )
    assert "more lines" not in text


def test_a_good_run_is_told_in_few_lines() -> None:
    _, events = data_loss()
    assert story(report(), events).splitlines() == [
        "OK: 4 checks held: seed 7, strategy pct:3, 14 calls, 1 fault fired, 94.250 s of virtual time",
        "",
        "Nothing to judge for I13: the run never came near it",
        "",
        "replay: csisim replay csisim1-7-abc",
    ]


def test_what_could_not_be_decided_says_why() -> None:
    text = story(report(verdict="unknown", unknown={"linearizability": "budget of 10000 steps spent on pvc-1"}), [])
    assert text.startswith("UNKNOWN: no violation, but not all could be decided: seed 7")
    assert "Undecided: linearizability: budget of 10000 steps spent on pvc-1" in text


def test_nothing_of_the_run_reaches_the_terminal_as_a_command() -> None:
    hostile = "\x1b[2J\x9b2J\r\nreplay: rm -rf\u202e" + "x" * 1_000_000
    given = report(
        Violation(hostile, hostile, hostile, (1,), 0.0, hostile),
        seed=hostile,
        strategy=hostile,
        replay=hostile,
        unknown={hostile: hostile},
    )
    text = story(given, crowd(50))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert len(text) < 50_000


def test_a_report_with_nothing_in_it_is_no_reason_to_fail() -> None:
    assert story({}, []).startswith("?: 0 checks held: seed ?")
