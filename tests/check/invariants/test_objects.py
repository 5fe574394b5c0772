"""I2, I3 and I17 over histories written by hand."""

import pytest

from csisim.check.invariants.objects import i2, i3, i17
from tests.support.told import Told, summaries


def answered(volume_id: str) -> dict[str, object]:
    return {"volume": {"volume_id": volume_id, "capacity_bytes": 10}}


def test_one_name_answered_with_two_ids_is_a_violation() -> None:
    told = Told()
    told.rpc("CreateVolume", {"name": "n"}, response=answered("v-1"))
    told.rpc("CreateVolume", {"name": "n"}, response=answered("v-2"))
    [found] = summaries(i2, told)
    assert "CreateVolume of 'n' was answered with 'v-1'" in found


def test_a_new_id_after_a_delete_is_fine() -> None:
    told = Told()
    told.rpc("CreateVolume", {"name": "n"}, response=answered("v-1"))
    told.delete("v-1")
    told.rpc("CreateVolume", {"name": "n"}, response=answered("v-2"))
    assert summaries(i2, told) == []


def slowly_answered(*, deleted: bool) -> Told:
    """The snapshot is cut of w for a call that is out all the time, and meanwhile it is cut of v, deleted or not."""
    told = Told()
    slow = told.begin("rpc", "CreateSnapshot", "node-1", name="s", source_volume_id="w")
    told.rpc("CreateSnapshot", {"name": "s", "source_volume_id": "v"}, response={"snapshot": {"snapshot_id": "v@s"}})
    if deleted:
        told.rpc("DeleteSnapshot", {"snapshot_id": "v@s"})
    told.end(slow, code="OK", snapshot={"snapshot_id": "w@s"})
    return told


def test_of_two_calls_at_a_time_either_one_may_have_come_first() -> None:
    assert summaries(i2, slowly_answered(deleted=True)) == []
    [found] = summaries(i2, slowly_answered(deleted=False))
    assert "'w@s'" in found


def made_twice(first: str, second: str) -> Told:
    """As after a lost reply: the driver repeats what has happened."""
    told = Told()
    for dataset in (first, second):
        rpc = told.begin("rpc", "CreateVolume", "node-1", name="n")
        nas = told.begin("nas", "pool.dataset.create", "nas", rpc)
        told.made(dataset, nas)
        told.end(nas)
        told.end(rpc, "info", code="UNAVAILABLE")
    return told


def test_two_datasets_for_one_name_are_a_violation() -> None:
    [found] = summaries(i2, made_twice("dataset t/n", "dataset t/n-1"))
    assert "two datasets for the name 'n': t/n and t/n-1" in found


def test_the_dataset_that_all_are_below_is_not_a_second_one() -> None:
    assert summaries(i2, made_twice("dataset t", "dataset t/n")) == []


def test_one_dataset_after_another_is_fine() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="n")
    told.made("dataset t/n", rpc)
    told.gone("dataset t/n", rpc)
    told.made("dataset t/n-1", rpc)
    told.end(rpc, **answered("n-1"))
    assert summaries(i2, told) == []


def test_what_is_left_in_the_end_is_told_with_its_origin() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    told.made("dataset t/v", rpc)
    told.end(rpc, "info", code="DEADLINE_EXCEEDED")
    told.add("info", "state", "left", value={"objects": ["NAS: dataset t/v", "dataset t"], "expected": ["dataset t"]})
    result = i3(told.index)
    assert [found.summary for found in result.violations] == [
        "At 0.400 s, with everything deleted, 1 objects were left: NAS: dataset t/v."
    ]
    assert result.violations[0].events == (2, 4)
    assert "created at 0.200 s for CreateVolume(v)" in result.violations[0].detail


def landing_late(*, died: bool, deleted: str) -> Told:
    """A volume is left: its create took effect for a call whose process had died, or not."""
    told = Told()
    lost = told.begin("rpc", "CreateVolume", "node-1", name="v")
    if died:
        told.world("crash", what="driver")
    told.end(lost, "info", code="CANCELLED")
    if deleted == "before":
        told.delete("v")
    told.made("dataset t/v", told.begin("nas", "pool.dataset.create", "nas", lost))
    if deleted == "afterwards":
        told.delete("v")
    told.add("info", "state", "left", value={"objects": ["NAS: dataset t/v"], "expected": []})
    return told


def test_what_the_nas_makes_for_a_dead_process_after_the_delete_is_not_the_drivers() -> None:
    assert summaries(i3, landing_late(died=True, deleted="before")) == []


@pytest.mark.parametrize(("died", "deleted"), [(False, "before"), (True, "never"), (True, "afterwards")])
def test_else_what_is_left_is_a_leak(died: bool, deleted: str) -> None:
    [found] = summaries(i3, landing_late(died=died, deleted=deleted))
    assert "dataset t/v" in found


def test_a_snapshot_lands_late_like_a_volume() -> None:
    told = Told()
    cut = {"snapshot": {"snapshot_id": "v@s"}}
    told.rpc("CreateSnapshot", {"name": "s", "source_volume_id": "v"}, response=cut)
    lost = told.begin("rpc", "CreateSnapshot", "node-1", name="s", source_volume_id="v")
    told.world("crash", what="driver")
    told.rpc("DeleteSnapshot", {"snapshot_id": "v@s"})
    told.made("snapshot t/v@s", lost)
    told.add("info", "state", "left", value={"objects": ["NAS: snapshot t/v@s"], "expected": []})
    assert summaries(i3, told) == []


def test_locks_held_with_nothing_going_on_are_leaked() -> None:
    told = Told()
    told.add("info", "state", "locks", value={"held": ["volume v"]})
    assert "locks were held: volume v" in summaries(i3, told)[0]


def test_nothing_left_but_what_was_expected_is_fine() -> None:
    told = Told()
    told.add("info", "state", "left", value={"objects": ["dataset t"], "expected": ["dataset t"]})
    told.add("info", "state", "locks", value={"held": []})
    assert summaries(i3, told) == []


def test_a_foreign_object_that_is_destroyed_or_changed_is_a_violation() -> None:
    for how in ("destroyed", "changed"):
        told = Told()
        told.world("foreign", objects=["dataset t/theirs"])
        rpc = told.begin("rpc", "ControllerModifyVolume", "node-1", volume_id="theirs")
        if how == "destroyed":
            told.gone("dataset t/theirs", rpc)
        else:
            told.end(told.begin("nas", "pool.dataset.update", "nas", rpc, params=["t/theirs", {}]), changes=1)
        told.end(rpc)
        [found] = summaries(i17, told)
        assert "t/theirs, which belongs to somebody else, was" in found
        assert f"{how} by ControllerModifyVolume(theirs)" in found


def test_what_was_there_before_is_not_the_drivers_to_destroy() -> None:
    told = Told()
    rpc = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    told.gone("dataset t/v", rpc)
    told.end(rpc)
    assert "which was there before the driver made anything" in summaries(i17, told)[0]


def test_ones_own_objects_may_go_and_what_others_destroy_is_theirs() -> None:
    told = Told()
    rpc = told.create()
    told.made("dataset t/v", rpc)
    told.gone("dataset t/v", told.delete())
    told.gone("dataset t/elsewhere")
    assert summaries(i17, told) == []


def test_two_names_answered_with_one_id_are_a_violation() -> None:
    told = Told()
    told.rpc("CreateVolume", {"name": "n"}, response=answered("v-1"))
    told.rpc("CreateVolume", {"name": "m"}, response=answered("v-1"))
    told.rpc("CreateVolume", {"name": "o"}, response=answered("v-2"))
    [found] = summaries(i2, told)
    assert "CreateVolume of 'n' (CreateVolume(v-1)" in found
    assert "of 'm'" in found
    assert "were both answered with 'v-1'" in found
