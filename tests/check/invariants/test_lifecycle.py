"""I4, I5 and I6 over histories written by hand."""

from csisim.check.invariants.lifecycle import i4, i5, i6
from tests.support.told import MULTI, STAGED, TARGET, Told, summaries


def test_a_single_node_volume_published_on_two_nodes_is_a_violation() -> None:
    told = Told()
    told.create()
    told.attach(node="node-1")
    told.attach(node="node-2")
    [found] = summaries(i4, told)
    assert "Volume v was published on node-2" in found
    assert "while it still was on node-1" in found


def test_a_shared_volume_may_be_on_two_nodes() -> None:
    told = Told()
    told.create()
    told.attach(node="node-1", capability=MULTI)
    told.attach(node="node-2", capability=MULTI)
    assert i4(told.index).violations == ()


def test_an_unpublish_whose_outcome_is_unknown_may_have_made_room() -> None:
    told = Told()
    told.create()
    told.attach(node="node-1")
    told.detach(node="node-1", code="UNAVAILABLE")
    told.attach(node="node-2")
    assert summaries(i4, told) == []


def test_an_unpublish_from_all_nodes_makes_room() -> None:
    told = Told()
    told.create()
    told.attach(node="node-1")
    told.detach(node="")
    told.attach(node="node-2")
    assert summaries(i4, told) == []


def moved(*, really: bool) -> Told:
    """To another node, in the right order; the first node unmounts, or only says so."""
    told = Told()
    told.in_use()
    told.unpublish()
    told.unstage(really=really)
    told.detach()
    told.attach(node="node-2")
    told.stage(node="node-2")
    return told


def test_a_mount_that_stayed_behind_after_ok_is_a_second_writer() -> None:
    [found] = summaries(i4, moved(really=False))
    assert f"mounted writable on node-2 at {STAGED} and still on node-1 at {STAGED}" in found
    assert summaries(i4, moved(really=True)) == []


def test_a_node_that_the_co_gave_up_on_is_not_the_drivers_fault() -> None:
    told = Told()
    told.in_use()
    told.detach()  # by force: the node was never asked
    told.attach(node="node-2")
    told.stage(node="node-2")
    assert summaries(i4, told) == []


def test_publish_over_an_undone_stage_is_a_violation() -> None:
    told = Told()
    told.create()
    told.attach()
    told.stage()
    told.unstage()
    told.publish()
    [found] = summaries(i5, told)
    assert "NodePublishVolume(v)" in found
    assert "NodeStageVolume was undone on node-1 since NodeUnstageVolume(v)" in found


def test_what_a_refused_stage_has_left_half_way_may_be_published() -> None:
    for really in (True, False):
        told = Told()
        told.create()
        told.attach()
        told.stage(code="ABORTED", really=really)
        told.publish()
        assert bool(summaries(i5, told)) is not really


def test_stage_without_any_publication_is_a_violation_where_the_driver_attaches() -> None:
    told = Told()
    told.create()
    told.attach(node="node-2")
    told.stage(node="node-1")
    assert "nobody had ever done that" in summaries(i5, told)[0]


def test_a_driver_that_does_not_attach_may_stage() -> None:
    told = Told()
    told.create()
    told.stage()
    told.publish()
    assert summaries(i5, told) == []


def test_a_stage_whose_outcome_is_unknown_may_be_what_was_published() -> None:
    told = Told()
    told.create()
    told.attach()
    told.stage(code="DEADLINE_EXCEEDED")
    told.publish()
    assert summaries(i5, told) == []


def test_a_reboot_undoes_what_the_machine_forgets() -> None:
    told = Told()
    told.in_use()
    told.world("reboot", node="node-1", down_s=1.0)
    told.publish()
    assert "NodeStageVolume was undone" in summaries(i5, told)[0]


def test_unstage_over_a_publication_is_a_violation() -> None:
    told = Told()
    told.in_use()
    told.unstage()
    [found] = summaries(i5, told)
    assert "NodeUnstageVolume(v)" in found
    assert "still in use on node-1 since NodePublishVolume(v)" in found


def test_after_an_unpublish_that_was_refused_half_way_the_volume_may_be_unstaged() -> None:
    for really in (True, False):
        told = Told()
        told.in_use()
        told.unpublish(code="ABORTED", really=really)
        told.unstage()
        assert bool(summaries(i5, told)) is not really


def test_a_refused_unpublish_that_unmounted_another_path_or_was_followed_by_a_mount_lets_nobody_unstage() -> None:
    for again in (False, True):
        told = Told()
        told.in_use()
        call = told.begin("rpc", "NodeUnpublishVolume", "node-1", volume_id="v", target_path=TARGET)
        told.truth("umount", "node-1", call, path=TARGET if again else "/k/another", source="nas:/mnt/t/v")
        if again:
            told.mount("v", "node-1", TARGET, call)
        told.answer(call, "ABORTED")
        told.unstage()
        assert len(summaries(i5, told)) == 1


def test_unpublish_of_one_of_two_targets_leaves_the_other() -> None:
    told = Told()
    told.in_use()
    told.rpc("NodePublishVolume", {"volume_id": "v", "target_path": "/other"})
    told.unpublish()
    told.unstage()
    assert len(summaries(i5, told)) == 1
    told.rpc("NodeUnpublishVolume", {"volume_id": "v", "target_path": "/other"})
    told.unstage()
    assert len(summaries(i5, told)) == 1


def test_deleting_a_published_volume_is_a_violation_and_again_is_not() -> None:
    told = Told()
    told.create()
    told.attach()
    told.delete()
    told.delete()
    assert len(summaries(i5, told)) == 1


def test_publishing_a_deleted_volume_is_a_violation() -> None:
    told = Told()
    told.create()
    told.delete()
    told.attach()
    assert "the volume was gone since DeleteVolume(v)" in summaries(i5, told)[0]


def test_ok_without_a_mount_is_a_violation() -> None:
    told = Told()
    told.create()
    told.attach()
    told.stage()
    told.publish(really=False)
    [found] = summaries(i6, told)
    assert f"nothing was mounted at {TARGET} on node-1" in found


def test_the_mount_of_another_volume_is_a_violation() -> None:
    told = Told()
    told.create("other")
    told.create()
    call = told.begin("rpc", "NodeStageVolume", "node-1", **told.stage_request())
    told.mount("other", "node-1", STAGED, call)
    told.end(call)
    assert "showed volume other" in summaries(i6, told)[0]


def test_a_directory_of_the_nodes_own_disk_is_a_violation() -> None:
    told = Told()
    told.create()
    call = told.begin("rpc", "NodePublishVolume", "node-1", volume_id="v", target_path=TARGET)
    told.truth("bind", path=TARGET, source=STAGED, fs_type="none", options=["rw"], dataset="")
    told.end(call)
    assert f"showed {STAGED}, a directory of the node's own disk" in summaries(i6, told)[0]


def test_unpublish_ok_with_the_mount_or_the_path_still_there_is_a_violation() -> None:
    told = Told()
    told.in_use()
    told.unpublish(really=False)
    assert f"was still mounted at {TARGET}" in summaries(i6, told)[0]
    told = Told()
    told.in_use()
    call = told.begin("rpc", "NodeUnpublishVolume", "node-1", volume_id="v", target_path=TARGET)
    told.truth("umount", path=TARGET, source="nas:/mnt/t/v")
    told.end(call)
    assert f"{TARGET} was still there on node-1" in summaries(i6, told)[0]


def test_a_whole_life_is_in_order_and_true() -> None:
    told = Told()
    told.in_use()
    told.unpublish()
    told.unstage()
    told.detach()
    told.delete()
    for check in (i4, i5, i6):
        assert summaries(check, told) == []


def test_another_call_under_way_on_the_path_may_have_changed_it_if_it_did_anything() -> None:
    for refused in (False, True):
        told = Told()
        told.create()
        told.attach()
        late = told.begin("rpc", "NodeUnstageVolume", "node-1", volume_id="v", staging_target_path=STAGED)
        call = told.begin("rpc", "NodeStageVolume", "node-1", **told.stage_request())
        if refused:
            told.end(late, "fail", code="ABORTED", message="busy")
        else:
            told.mount("v", "node-1", STAGED, call)
            told.truth("umount", "node-1", late, path=STAGED, source="nas:/mnt/t/v")
        told.end(call)
        if not refused:
            told.end(late)
        told.truth("mount", "node-2", path="/elsewhere", source="nas:/mnt/t/w")  # somebody tells of machines
        assert bool(i6(told.index).violations) is refused


def test_a_history_that_tells_of_no_machine_is_not_judged() -> None:
    told = Told()
    told.rpc("NodeStageVolume", told.stage_request())
    assert i6(told.index).looked_at == 0
