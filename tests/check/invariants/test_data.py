"""I1 and I13 over histories written by hand."""

from csisim.check.invariants.data import i1, i13
from tests.support.told import STAGED, TARGET, Told, summaries

FROM_SNAPSHOT = {"volume_content_source": {"snapshot": {"snapshot_id": "v@s"}}}


def test_acknowledged_bytes_that_are_gone_are_a_loss() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.read("")
    [found] = summaries(i1, told)
    assert "file a of volume v on node-1 and got no such file instead of bytes aaaa" in found


def test_an_old_value_after_a_newer_one_was_acknowledged_is_a_loss() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.write("bbbb")
    told.read("aaaa")
    [found] = summaries(i1, told)
    assert "got bytes aaaa instead of bytes bbbb" in found


def test_bytes_that_nobody_wrote_are_a_violation() -> None:
    told = Told()
    told.in_use()
    told.read("cccc")
    assert summaries(i1, told)


def test_a_write_whose_outcome_is_unknown_may_show_or_not_and_late() -> None:
    told = Told()
    told.in_use()
    told.write("late", end="")
    told.write("aaaa")
    told.read("aaaa")
    told.read("late")
    assert summaries(i1, told) == []


def test_bytes_written_while_the_volume_was_not_surely_published_may_be_elsewhere() -> None:
    told = Told()
    told.in_use()
    away = told.begin("rpc", "NodeUnpublishVolume", "node-1", volume_id="v", target_path=TARGET)
    told.write("aaaa")
    told.end(away, "info", code="UNAVAILABLE")
    told.publish()
    told.read("")
    assert i1(told.index).violations == ()


def test_a_reboot_takes_the_publication_and_with_it_what_reads_mean() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.world("reboot", node="node-1", down_s=1.0)
    told.read("")
    assert i1(told.index).violations == ()


def test_what_was_deleted_need_not_be_there_in_the_next_volume_of_the_name() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.unpublish()
    told.unstage()
    told.detach()
    told.delete()
    told.in_use()
    told.read("")
    assert i1(told.index).violations == ()


def test_bytes_must_follow_the_volume_to_another_node() -> None:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.unpublish()
    told.unstage()
    told.detach()
    told.attach(node="node-2")
    told.stage(node="node-2")
    told.publish(node="node-2")
    told.read("", node="node-2")
    [found] = summaries(i1, told)
    assert "on node-2 and got no such file instead of bytes aaaa; pod wrote bytes aaaa on node-1" in found


def test_formatting_over_a_file_system_is_a_loss() -> None:
    told = Told()
    told.create()
    told.truth("make_fs", source="/dev/x", dataset="t/v", fs_type="ext4")
    told.truth("make_fs", "node-2", source="/dev/x", dataset="t/v", fs_type="ext4")
    [found] = summaries(i1, told)
    assert "node-2 made a file system on /dev/x (v) over the one that node-1 had made at 0.300 s" in found


def test_formatting_a_new_volume_of_the_same_name_is_none() -> None:
    told = Told()
    told.create()
    told.truth("make_fs", source="/dev/x", dataset="t/v")
    told.delete()
    told.gone("dataset t/v")
    told.create()
    told.truth("make_fs", source="/dev/x", dataset="t/v")
    assert summaries(i1, told) == []


def test_formatting_what_was_restored_with_a_file_system_is_a_loss() -> None:
    told = Told()
    told.create()
    told.truth("make_fs", source="/dev/x", dataset="t/v")
    told.snapshot()
    told.create("w", **FROM_SNAPSHOT)
    told.truth("make_fs", source="/dev/y", dataset="t/w")
    assert len(summaries(i1, told)) == 1


def test_formatting_what_was_cut_before_its_source_had_a_file_system_is_none() -> None:
    told = Told()
    told.create()
    told.snapshot()
    told.truth("make_fs", source="/dev/x", dataset="t/v")
    told.create("w", **FROM_SNAPSHOT)
    told.truth("make_fs", source="/dev/y", dataset="t/w")
    assert summaries(i1, told) == []


def test_formatting_below_a_mount_is_a_loss() -> None:
    told = Told()
    told.create()
    told.truth("mount", path=STAGED, source="/dev/x", fs_type="ext4", options=["rw"], dataset="t/v")
    told.truth("make_fs", source="/dev/x", dataset="t/v")
    assert f"while it was mounted at {STAGED} on node-1" in summaries(i1, told)[0]


def test_a_path_removed_inside_a_live_mount_is_the_workloads_file() -> None:
    told = Told()
    told.in_use()
    told.truth("remove", path=f"{TARGET}/a")
    [found] = summaries(i1, told)
    assert f"node-1 removed {TARGET}/a, which is inside of what is mounted at {TARGET}" in found


def test_a_mount_point_removed_after_its_umount_is_nothing() -> None:
    told = Told()
    told.in_use()
    told.unpublish()
    assert summaries(i1, told) == []


def test_a_volume_that_vanishes_without_a_delete_is_lost() -> None:
    told = Told()
    told.made("dataset t/v")
    told.create()
    told.gone("dataset t/v")
    [found] = summaries(i1, told)
    assert "nobody had called DeleteVolume(v) since CreateVolume(v) by node-1" in found


def test_a_delete_that_comes_late_may_take_the_next_volume_of_that_name() -> None:
    told = Told()
    told.made("dataset t/v")
    told.create()
    late = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    told.gone("dataset t/v")
    told.end(told.begin("rpc", "DeleteVolume", "node-1", volume_id="v"))
    told.made("dataset t/v")
    told.create()
    told.gone("dataset t/v")
    told.end(late)
    assert summaries(i1, told) == []


def test_a_delete_that_had_ended_before_takes_nothing() -> None:
    told = Told()
    told.made("dataset t/v")
    told.create()
    told.end(told.begin("rpc", "DeleteVolume", "node-1", volume_id="v"))
    told.gone("dataset t/v")
    told.made("dataset t/v")
    told.create()
    told.gone("dataset t/v")
    assert [found for found in summaries(i1, told) if "nobody had called DeleteVolume(v)" in found]


def test_a_volume_deleted_while_published_and_mounted_is_lost() -> None:
    told = Told()
    told.made("dataset t/v")
    told.in_use()
    delete = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    told.gone("dataset t/v")
    told.end(delete)
    assert "destroyed while it was published on node-1 and mounted there" in summaries(i1, told)[0]


def test_a_half_made_volume_may_be_cleaned_up() -> None:
    told = Told()
    create = told.begin("rpc", "CreateVolume", "node-1", name="v")
    told.made("dataset t/v")
    told.gone("dataset t/v")
    told.answer(create, "RESOURCE_EXHAUSTED")
    told.made("dataset t/v")
    told.create()
    assert summaries(i1, told) == []


def restored(read: str) -> Told:
    told = Told()
    told.in_use()
    told.write("aaaa")
    told.snapshot()
    told.write("bbbb")
    told.in_use("w", **FROM_SNAPSHOT)
    told.read(read, "w")
    return told


def test_a_restore_shows_what_was_there_at_the_cut() -> None:
    assert summaries(i13, restored("aaaa")) == []


def test_a_restore_that_shows_later_bytes_is_a_violation() -> None:
    [found] = summaries(i13, restored("bbbb"))
    assert "got bytes bbbb instead of bytes aaaa, as it was in snapshot v@s" in found
    assert i1(restored("bbbb").index).violations == ()


def test_a_write_during_the_cut_may_be_in_it_or_not() -> None:
    for seen in ("aaaa", "bbbb"):
        told = Told()
        told.in_use()
        told.write("aaaa")
        cut = told.begin("rpc", "CreateSnapshot", "node-1", name="s", source_volume_id="v")
        told.write("bbbb")
        told.end(cut, snapshot={"snapshot_id": "v@s", "source_volume_id": "v"})
        told.in_use("w", **FROM_SNAPSHOT)
        told.read(seen, "w")
        assert summaries(i13, told) == []


def test_a_snapshot_that_goes_without_a_delete_is_a_violation() -> None:
    told = Told()
    told.create()
    told.made("snapshot t/v@s")
    told.snapshot()
    told.gone("snapshot t/v@s")
    [found] = summaries(i13, told)
    assert "nobody had called DeleteSnapshot(v@s)" in found


def test_a_snapshot_goes_with_its_delete_and_moves_with_a_promoted_clone() -> None:
    told = Told()
    told.create()
    told.made("snapshot t/v@s")
    told.snapshot()
    told.truth("destroyed", "nas", object="snapshot t/v@s", moved_to="snapshot t/w@s")
    told.truth("created", "nas", object="snapshot t/w@s", moved_from="snapshot t/v@s")
    assert summaries(i13, told) == []
    told = Told()
    told.create()
    told.made("snapshot t/v@s")
    told.snapshot()
    delete = told.begin("rpc", "DeleteSnapshot", "node-1", snapshot_id="v@s")
    told.gone("snapshot t/v@s")
    told.end(delete)
    assert summaries(i13, told) == []
