"""I7, I8 and I12 over histories written by hand."""

from csisim.check.invariants.answers import i7, i8, i12
from tests.support.told import STAGED, Told, summaries


def test_the_same_create_with_another_size_is_a_violation() -> None:
    told = Told()
    for size in (10, 12):
        answer = {"volume": {"volume_id": "v", "capacity_bytes": size}}
        told.rpc("CreateVolume", {"name": "v", "capacity_range": {"required_bytes": 10}}, response=answer)
    [found] = summaries(i7, told)
    assert "different capacity_bytes: 10 (CreateVolume(v)" in found


def test_an_expansion_in_between_explains_the_size_and_a_delete_everything() -> None:
    for between in ("ControllerExpandVolume", "DeleteVolume"):
        told = Told()
        told.create()
        told.rpc(between, {"volume_id": "v"}, "UNAVAILABLE")
        request = {"name": "v", "capacity_range": {"required_bytes": 10}}
        told.rpc("CreateVolume", request, response={"volume": {
            "volume_id": "v", "capacity_bytes": 12, "volume_context": {"share": "/mnt/t/v"}}})  # fmt: skip
        assert i7(told.index).violations == ()


def test_a_repeated_expansion_that_forgets_the_node_is_a_violation() -> None:
    def repeated(*between: str) -> Told:
        told = Told()
        told.create()
        for answer in ({"capacity_bytes": 20, "node_expansion_required": True}, {"capacity_bytes": 20}):
            told.rpc("ControllerExpandVolume", {"volume_id": "v"}, response=answer)
            for f in between:
                told.rpc(f, {"volume_id": "v"})
        return told

    assert "different node_expansion_required: True" in summaries(i7, repeated())[0]
    assert i7(repeated("NodeExpandVolume").index).violations == ()


def test_the_same_publish_refused_the_second_time_is_a_violation() -> None:
    told = Told()
    told.create()
    told.attach()
    told.attach(code="ALREADY_EXISTS")
    [found] = summaries(i7, told)
    assert "The same ControllerPublishVolume that had succeeded" in found


def test_a_repeated_create_may_be_refused_once_the_volume_has_grown() -> None:
    def repeated(*between: str) -> Told:
        told = Told()
        told.create()
        for f in between:
            told.rpc(f, {"volume_id": "v"}, response={"capacity_bytes": 12})
        told.create(code="ALREADY_EXISTS")
        return told

    assert "was refused when it was repeated" in summaries(i7, repeated())[0]
    assert i7(repeated("ControllerExpandVolume").index).violations == ()


def test_other_arguments_may_be_refused() -> None:
    told = Told()
    told.create()
    told.attach()
    told.rpc("ControllerPublishVolume", {"volume_id": "v", "node_id": "node-1", "readonly": True}, "ALREADY_EXISTS")
    told.attach()
    assert summaries(i7, told) == []


def failed_create(code: str, *, cleaned: bool, injected: bool = False) -> Told:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    nas = told.begin("nas", "pool.dataset.create", "nas", rpc)
    told.made("dataset t/v", nas)
    told.end(nas)
    if cleaned:
        told.gone("dataset t/v", rpc)
    if injected:
        told.add("info", "fault", "rpc.CreateVolume.after", parent=rpc, value={"action": f"error({code})"})
    told.answer(rpc, code)
    return told


def test_a_final_code_with_the_volume_made_is_a_violation() -> None:
    for code in ("INTERNAL", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"):
        [found] = summaries(i8, failed_create(code, cleaned=False))
        assert "dataset t/v, made by this call at 0.300 s, was there" in found


def test_a_pending_code_or_a_clean_up_or_a_rule_makes_it_right() -> None:
    assert summaries(i8, failed_create("UNAVAILABLE", cleaned=False)) == []
    assert summaries(i8, failed_create("RESOURCE_EXHAUSTED", cleaned=True)) == []
    assert i8(failed_create("INTERNAL", cleaned=False, injected=True).index).violations == ()


def test_a_final_code_with_the_mount_left_is_a_violation() -> None:
    told = Told()
    told.create()
    told.stage(code="FAILED_PRECONDITION")
    [found] = summaries(i8, told)
    assert f"the mount at {STAGED}, made by this call" in found


def test_internal_for_a_passing_fault_is_a_violation() -> None:
    def answered(action: str, code: str) -> Told:
        told = Told()
        rpc = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
        nas = told.begin("nas", "pool.dataset.delete", "nas", rpc)
        told.add("info", "fault", "nas.pool.dataset.delete.request", parent=nas, value={"action": action})
        told.end(nas, "fail", reason="x")
        told.answer(rpc, code)
        return told

    for action in ("error(EIO)", "disconnect(rst)", "drop"):
        assert "the cause would have passed" in summaries(i8, answered(action, "INTERNAL"))[0]
    assert summaries(i8, answered("error(EIO)", "UNAVAILABLE")) == []
    assert summaries(i8, answered("error(EPERM)", "INTERNAL")) == []


def test_an_error_that_nobody_expected_is_a_violation() -> None:
    told = Told()
    call = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    told.end(call, "fail", code="INTERNAL", message="defect in the driver: KeyError; its log has the details")
    assert "an error that nobody expected" in summaries(i8, told)[0]


def test_an_error_that_nobody_expected_shows_to_its_caller_too() -> None:
    told = Told()
    told.rpc("GetSnapshot", {"snapshot_id": "s"}, "INTERNAL")
    call = told.begin("call", "GetSnapshot", "client-1", snapshot_id="s")
    told.end(call, "info", code="INTERNAL", message="defect in the driver: IndexError; its log has the details")
    [found] = summaries(i8, told)
    assert "an error that nobody expected: defect in the driver: IndexError" in found


def test_a_record_that_is_damaged_although_nobody_damaged_it_is_a_violation() -> None:
    def read(*, fault: bool) -> Told:
        told = Told()
        if fault:
            told.add("info", "fault", "file.write", value={"action": "truncate(3)"})
        told.rpc("NodeGetVolumeStats", {"volume_id": "v"}, "FAILED_PRECONDITION")
        call = told.begin("call", "NodeGetVolumeStats", "client-1", volume_id="v")
        told.end(call, "fail", code="FAILED_PRECONDITION", message="the record of volume v is damaged (ValueError)")
        return told

    [found] = summaries(i8, read(fault=False))
    assert "nobody had damaged it: the record of volume v is damaged" in found
    assert summaries(i8, read(fault=True)) == []


def test_not_found_for_a_volume_that_exists_is_a_violation() -> None:
    told = Told()
    told.create()
    told.rpc("ControllerExpandVolume", {"volume_id": "v"}, "NOT_FOUND")
    assert "the volume existed since CreateVolume(v)" in summaries(i8, told)[0]


def test_not_found_may_be_right_while_a_delete_may_land_or_the_node_is_the_one_unknown() -> None:
    told = Told()
    told.create()
    told.attach(node="nowhere", code="NOT_FOUND")
    told.delete(code="DEADLINE_EXCEEDED")
    told.rpc("ControllerExpandVolume", {"volume_id": "v"}, "NOT_FOUND")
    assert summaries(i8, told) == []


def test_already_exists_without_a_volume_is_a_violation() -> None:
    told = Told()
    told.create(code="ALREADY_EXISTS")
    assert "no volume of this name existed" in summaries(i8, told)[0]
    told = Told()
    told.create(code="UNAVAILABLE")
    told.create(code="ALREADY_EXISTS", size=20)
    assert summaries(i8, told) == []


def expanded(size: int, told_size: int) -> Told:
    told = Told()
    told.create()
    request = {"volume_id": "v", "capacity_range": {"required_bytes": size}}
    told.rpc("ControllerExpandVolume", request, response={"capacity_bytes": told_size})
    return told


def test_less_than_was_asked_for_is_a_violation() -> None:
    assert "20 bytes were required, and it was answered with 15" in summaries(i12, expanded(20, 15))[0]
    assert summaries(i12, expanded(20, 24)) == []


def created_and_listed(size_bytes: int) -> Told:
    told = Told()
    told.create()
    entry = {"volume": {"volume_id": "v", "capacity_bytes": size_bytes}}
    told.rpc("ListVolumes", {}, response={"entries": [entry]})
    return told


def test_a_volume_that_grows_by_itself_is_a_violation() -> None:
    [found] = summaries(i12, created_and_listed(11))
    assert "Volume v has grown, and nobody expanded it: capacity 10 bytes" in found
    assert summaries(i12, created_and_listed(10)) == []


def test_a_volume_that_somebody_may_have_expanded_may_have_grown() -> None:
    told = created_and_listed(11)
    told.rpc("ControllerExpandVolume", {"volume_id": "v"}, code="UNAVAILABLE")
    assert summaries(i12, told) == []


def test_a_volume_that_shrinks_is_a_violation() -> None:
    told = expanded(20, 20)
    told.rpc("ListVolumes", {}, response={"entries": [{"volume": {"volume_id": "v", "capacity_bytes": 10}}]})
    [found] = summaries(i12, told)
    assert "Volume v has shrunk: capacity 20 bytes" in found


def test_an_answer_that_was_under_way_meanwhile_may_tell_the_old_size() -> None:
    told = Told()
    told.create()
    listing = told.begin("rpc", "ListVolumes", "node-1")
    told.rpc("ControllerExpandVolume", {"volume_id": "v"}, response={"capacity_bytes": 20})
    told.end(listing, entries=[{"volume": {"volume_id": "v", "capacity_bytes": 10}}])
    assert summaries(i12, told) == []


def test_a_list_may_show_what_is_half_made_and_gone_again() -> None:
    told = Told()
    create = told.begin("rpc", "CreateVolume", "node-1", name="v", capacity_range={"required_bytes": 30})
    told.rpc("ListVolumes", {}, response={"entries": [{"volume": {"volume_id": "v", "capacity_bytes": 30}}]})
    told.end(create, "info", code="UNAVAILABLE")
    told.create()
    assert summaries(i12, told) == []


def test_a_file_system_that_shrinks_is_a_violation() -> None:
    told = Told()
    told.create()
    for total in (10, 9):
        usage = {"usage": [{"unit": "BYTES", "total": total}, {"unit": "INODES", "total": 1}]}
        told.rpc("NodeGetVolumeStats", {"volume_id": "v"}, response=usage)
    assert "total of its file system 10 bytes" in summaries(i12, told)[0]


def test_another_node_may_not_have_looked_at_a_grown_device_yet() -> None:
    told = Told()
    told.create()
    for path, total, found in (("/n1", 10, 0), ("/n2", 9, 0), ("/n2", 10, 0), ("/n1", 9, 1)):
        tell_size(told, path, total)
        assert len(summaries(i12, told)) == found


def test_a_node_that_staged_the_volume_since_or_mounts_it_over_the_network_sees_what_it_has_grown_to() -> None:
    for staged, fs_type, found in ((False, "ext4", 0), (True, "ext4", 1), (False, "nfs", 1)):
        told = Told()
        told.create()
        told.truth("mount", "node-2", path="/n2", source="x:/mnt/t/v", fs_type=fs_type, dataset="t/v", options=["rw"])
        tell_size(told, "/n1", 10)
        stage = told.begin("rpc", "NodeStageVolume", "node-2", volume_id="v", staging_target_path="/n2")
        if staged:
            told.truth("login", "node-2", stage, source="/dev/disk/v", dataset="t/v")
        told.end(stage)
        tell_size(told, "/n2", 9)
        assert len(summaries(i12, told)) == found


def tell_size(told: Told, path: str, total: int) -> None:
    usage = {"usage": [{"unit": "BYTES", "total": total}]}
    told.rpc("NodeGetVolumeStats", {"volume_id": "v", "staging_target_path": path}, response=usage)


def test_a_file_system_that_stays_small_is_a_violation_where_no_node_was_to_grow_it() -> None:
    for required, total, found in ((False, 10, 1), (True, 10, 0), (False, 19, 0)):
        told = Told()
        told.create()
        grown = {"capacity_bytes": 20} | ({"node_expansion_required": True} if required else {})
        told.rpc("ControllerExpandVolume", {"volume_id": "v"}, response=grown)
        told.rpc("NodeGetVolumeStats", {"volume_id": "v"}, response={"usage": [{"unit": "BYTES", "total": total}]})
        assert len(summaries(i12, told)) == found


def test_more_than_the_limit_is_a_violation() -> None:
    told = Told()
    asked = {"name": "v", "capacity_range": {"required_bytes": 5, "limit_bytes": 8}}
    told.rpc("CreateVolume", asked, response={"volume": {"volume_id": "v", "capacity_bytes": 9}})
    assert "at most 8 bytes were allowed" in summaries(i12, told)[0]
