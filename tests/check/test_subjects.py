"""What calls were about."""

from csisim.check.subjects import Subjects, access_mode, is_block
from tests.support.told import SINGLE, TARGET, Told


def test_a_name_and_its_id_are_one_volume() -> None:
    told = Told()
    told.rpc("CreateVolume", {"name": "Büro"}, "UNAVAILABLE")
    told.rpc("CreateVolume", {"name": "Büro"}, response={"volume": {"volume_id": "buro-x1"}})
    told.delete("buro-x1")
    told.rpc("CreateVolume", {"name": "never"}, "UNAVAILABLE")
    subjects = Subjects(told.index)
    assert subjects.volumes == ("buro-x1", "never")
    assert len(subjects.calls("CreateVolume", "buro-x1")) == 2


def test_a_name_that_comes_up_again_may_have_another_id() -> None:
    told = Told()
    for id_ in ("x1", "x2"):
        told.rpc("CreateVolume", {"name": "data"}, response={"volume": {"volume_id": id_}})
        told.rpc("CreateVolume", {"name": "data"}, "ALREADY_EXISTS")
        told.delete(id_)
    subjects = Subjects(told.index)
    assert [subjects.volume(call) for call in told.index.steps if call.f == "CreateVolume"] == ["x1", "x1", "x2", "x2"]


def test_nodes_are_told_by_the_request_or_by_who_serves_or_asks() -> None:
    told = Told()
    told.attach(node="node-2")
    told.detach(node="")
    told.publish(node="node-1")
    subjects = Subjects(told.index)
    assert [subjects.node(call) for call in told.index.steps] == ["node-2", "*", "node-1"]
    assert subjects.nodes == ("node-2", "node-1")
    assert len(subjects.calls("ControllerUnpublishVolume", "v", "node-2")) == 1
    told = Told()
    for who in ("kubelet node-3", "client-1"):
        told.end(told.begin("call", "NodePublishVolume", who, volume_id="v", target_path=TARGET))
    assert Subjects(told.index).nodes == ("node-3",)


def test_a_reboot_undoes_steps_of_the_machine_alone() -> None:
    told = Told()
    told.in_use()
    told.world("reboot", node="node-1")
    subjects = Subjects(told.index)
    now = len(told.events) + 1
    assert subjects.undone("NodeStageVolume", "v", "node-1", now, now)
    assert subjects.done("ControllerPublishVolume", "v", "node-1", now, now) is not None


def test_existence_needs_a_create_and_no_delete_that_may_land() -> None:
    told = Told()
    told.create()
    assert Subjects(told.index).existed("v", 3, 3) is not None
    told.delete(code="UNAVAILABLE")
    assert Subjects(told.index).existed("v", 5, 5) is None
    assert Subjects(told.index).deleted_between("v", 9, 9)


def test_capabilities_are_read() -> None:
    told = Told()
    told.attach()
    told.rpc("NodeStageVolume", {"volume_id": "v", "volume_capability": {"block": {}}})
    attach, stage = told.index.steps
    assert (access_mode(attach), is_block(attach)) == (SINGLE["access_mode"]["mode"], False)
    assert (access_mode(stage), is_block(stage)) == ("", True)
