"""The race detector alone: what it is told, and what it makes of it."""

import pytest

from csisim.check.races import EXISTENCE, Access, Races

PVC = "dataset tank/csi/pvc-1"
READ = ("driver/volumes.py:1 get",)
WRITE = ("driver/volumes.py:2 update",)


def reads(races: Races, op: str, obj: str = PVC) -> None:
    races.read(obj, Access(op, READ, races.holds(op), name="pool.dataset.query"))


def writes(races: Races, op: str, part: str = "size", obj: str = PVC, *, late: bool = False) -> None:
    access = Access(op, WRITE, races.holds(op), at_s=1.5, event=7, name="pool.dataset.update")
    races.wrote(obj, part, access, late=late)


def rules(races: Races) -> list[str]:
    """The sentence that tells what was wrong, without the rest."""
    found = []
    for violation in races.result().violations:
        assert violation.check == "races"
        found.append(violation.summary)
    return found


def test_reading_and_writing_under_one_lock_is_fine():
    races = Races()
    for op in ("c1", "c2"):
        hold = races.took(op, "volume pvc-1")
        reads(races, op)
        writes(races, op)
        writes(races, op)
        races.freed(op, hold)
    assert rules(races) == []
    assert races.result().looked_at == 4
    assert races.version(PVC) == 4


def test_a_decision_on_what_was_read_before_the_lock_is_told_with_both_stacks():
    races = Races()
    reads(races, "c1")
    races.took("c1", "volume pvc-1")
    writes(races, "c1")
    (violation,) = races.result().violations
    assert violation.summary == "c1 wrote size of dataset tank/csi/pvc-1, and had read it before it held the lock"
    assert violation.events == (7,)
    assert violation.at_s == 1.5
    assert violation.detail.splitlines() == [
        "read by c1, pool.dataset.query at 0 s",
        "    driver/volumes.py:1 get",
        "write by c1, pool.dataset.update at 1.5 s",
        "    driver/volumes.py:2 update",
    ]


@pytest.mark.parametrize(("after", "found"), [(4, 0), (8, 1), (0, 1)])
def test_what_was_read_when_the_write_had_been_sent_already_decided_nothing(after, found):
    races = Races()
    hold = races.took("c1", "volume pvc-1")
    held = races.holds("c1")
    races.read(PVC, Access("c1", READ, held, event=3))
    races.freed("c1", hold)
    races.read(PVC, Access("c1", READ, event=6))
    races.wrote(PVC, "size", Access("c1", WRITE, held, event=5, after=after))
    assert len(rules(races)) == found


def test_a_read_repeated_inside_the_lock_makes_up_for_an_earlier_one():
    races = Races()
    reads(races, "c1")
    races.took("c1", "volume pvc-1")
    reads(races, "c1")
    writes(races, "c1")
    assert rules(races) == []


def test_a_lock_that_was_let_go_and_taken_again_is_another_one():
    races = Races()
    hold = races.took("c1", "volume pvc-1")
    reads(races, "c1")
    races.freed("c1", hold)
    races.took("c1", "volume pvc-1")
    writes(races, "c1")
    assert "under a lock that it had let go since" in rules(races)[0]


def test_a_lock_taken_inside_of_another_leaves_the_outer_one_held():
    races = Races()
    races.took("c1", "volume pvc-1")
    reads(races, "c1")
    inner = races.took("c1", "attachments of a")
    writes(races, "c1")
    races.freed("c1", inner)
    assert rules(races) == []


def test_a_write_without_any_lock_is_told_though_nothing_was_read():
    races = Races()
    writes(races, "c1", EXISTENCE)
    assert rules(races) == ["c1 wrote dataset tank/csi/pvc-1 without any lock"]


def two_who_hold_different_locks() -> Races:
    races = Races()
    races.took("c1", "volume pvc-1")
    races.took("c2", "something else")
    reads(races, "c1")
    return races


def test_writing_over_what_another_wrote_since_is_told():
    races = two_who_hold_different_locks()
    writes(races, "c2")
    writes(races, "c1")
    (violation,) = races.result().violations
    assert violation.summary == (
        "c1 wrote over version 1 of size of dataset tank/csi/pvc-1, which c2 wrote at 1.5 s (pool.dataset.update); "
        "it had read version 0"
    )
    assert "overwritten write by c2" in violation.detail


@pytest.mark.parametrize(("theirs", "mine"), [(EXISTENCE, "size"), ("size", EXISTENCE), (EXISTENCE, EXISTENCE)])
def test_creating_destroying_and_renaming_collide_with_everything(theirs, mine):
    races = two_who_hold_different_locks()
    writes(races, "c2", theirs)
    writes(races, "c1", mine)
    assert len(rules(races)) == 1


@pytest.mark.parametrize(
    ("theirs", "mine"), [("csisim:intent-1", "csisim:intent-2"), ("clones", "clones"), ("clones", EXISTENCE)]
)
def test_other_properties_and_clones_of_one_snapshot_do_not_collide(theirs, mine):
    races = two_who_hold_different_locks()
    writes(races, "c2", theirs)
    writes(races, "c1", mine)
    assert rules(races) == []


def test_who_knows_its_own_write_is_not_surprised_by_it_but_by_a_later_one():
    races = two_who_hold_different_locks()
    writes(races, "c1")
    writes(races, "c1")
    assert rules(races) == []
    writes(races, "c2")
    writes(races, "c1")
    assert len(rules(races)) == 1


def test_what_lands_after_its_connection_was_lost_is_nobodys_fault():
    races = two_who_hold_different_locks()
    writes(races, "c2", late=True)
    writes(races, "c1")
    writes(races, "c3", late=True)  # it holds nothing any more
    assert rules(races) == []
    assert races.version(PVC) == 3


def test_whoever_is_outside_of_the_driver_is_not_judged():
    races = two_who_hold_different_locks()
    writes(races, "")
    writes(races, "c1")
    assert rules(races) == []
    assert races.result().looked_at == 1


def test_reads_alone_are_no_decisions():
    races = Races()
    reads(races, "c1")
    races.read("snapshot tank/csi/pvc-1@s", Access("c1", READ))
    assert races.result().looked_at == 0
    assert races.result().verdict == "ok"


def test_one_pair_of_places_is_told_once():
    races = Races()
    for op in ("c1", "c2", "c3"):
        writes(races, op)
    assert len(rules(races)) == 1
