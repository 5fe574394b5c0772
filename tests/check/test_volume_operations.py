from csisim.check.volume_operations import UNLIMITED, Answered, Asked, operations_of
from csisim.pb import csi_pb2 as csi
from tests.support.calls import (
    GIB,
    Script,
    bind,
    create,
    created,
    cut,
    delete,
    destroy,
    publish,
    snapshot,
    stage,
    unbind,
)

NODE = "kubelet n1"


def test_a_call_is_an_operation_with_its_times_and_the_numbers_of_its_events() -> None:
    script = Script()
    script.call(create(size=1, limit=2, protocol="nfs"), created("id-1"), process="provisioner")
    (operation,) = operations_of(script.events)
    assert (operation.process, operation.f, operation.type) == ("provisioner", "CreateVolume", "ok")
    assert (operation.invoked_s, operation.invoked_seq) == (1.0, 1)
    assert (operation.completed_s, operation.completed_seq) == (2.0, 2)
    asked = operation.value
    assert (asked.volume, asked.required_bytes, asked.limit_bytes) == ("pvc-1", GIB, 2 * GIB)
    assert asked.parameters == (("protocol", "nfs"),)
    assert operation.result == Answered(id="id-1", capacity_bytes=GIB, seq=2)


def test_ids_are_learned_from_answers_that_come_later() -> None:
    script = Script()
    lost = script.begin(delete("id-1"))
    script.end(lost, "UNAVAILABLE")
    script.call(create("pvc-1"), created("id-1"))
    script.call(cut("s", "id-1"), snapshot("s", "id-1"))
    script.call(destroy("id-1@s"))
    found = operations_of(script.events)
    assert [each.value.volume for each in found] == ["pvc-1"] * 4
    assert [each.value.snapshot for each in found] == ["", "", "s", "s"]
    assert found[0].value.limit_bytes == UNLIMITED


def test_what_leaves_the_outcome_open_is_pending_and_a_definite_error_is_not() -> None:
    script = Script()
    for code in ("CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "INTERNAL", "ABORTED", "INVALID_ARGUMENT"):
        script.call(create(), code)
    script.begin(create())
    found = operations_of(script.events)
    assert [each.pending for each in found] == [True] * 5 + [False] * 2 + [True]
    assert [each.type for each in found[5:7]] == ["fail", "fail"]
    assert str(found[0].result) == "CANCELLED told so"


def test_a_node_is_known_from_its_kubelet_or_from_who_served_the_like() -> None:
    script = Script()
    script.call(stage(), process=NODE)
    request = bind()
    call = script.begin(request, "client-1")
    script.add("invoke", "rpc", "NodePublishVolume", call="r1", process="n2", value=request)
    script.end(call, csi.NodePublishVolumeResponse())
    assert [each.value.node for each in operations_of(script.events)] == ["n1", "n2"]


def test_what_clients_do_on_nodes_that_nobody_knows_says_nothing_about_the_volume() -> None:
    script = Script()
    script.call(publish())
    script.call(stage(), process=NODE)
    script.call(unbind(), process="client-1")
    assert [each.f for each in operations_of(script.events)] == ["ControllerPublishVolume"]


def test_a_call_that_never_reached_a_node_did_nothing() -> None:
    script = Script()
    script.call(stage(), process=NODE)
    script.call(bind(), "UNAVAILABLE", process="client-1")
    assert [each.f for each in operations_of(script.events)] == ["NodeStageVolume"]


def test_secrets_are_in_no_operation() -> None:
    script = Script()
    request = publish(mount_flags=["password=hunter2"])
    request.secrets["key"] = "hunter2"
    script.call(request)
    (operation,) = operations_of(script.events)
    assert operation.value.vague
    assert "hunter2" not in repr(operation)


def test_a_request_for_people_shows_what_says_something() -> None:
    assert str(Asked("pvc-1", id="pvc-1", node="n1", rivals=True)) == "id pvc-1, node n1"
    assert str(Asked("pvc-1", how='{"mount":{"fs_type":"ext4"}}')) == "volume pvc-1, how mount:fs_type:ext4"


def test_of_a_long_message_the_beginning_is_shown() -> None:
    assert str(Answered("INTERNAL", message="first line\nsecond")) == "INTERNAL first line"
    assert len(str(Answered("INTERNAL", message="x" * 1000))) < 300


def test_without_callers_the_calls_are_those_that_were_served() -> None:
    script = Script()
    script.add("invoke", "rpc", "NodeStageVolume", call="r1", process="n2", value=stage())
    script.add("ok", "rpc", "NodeStageVolume", call="r1", process="n2", value=csi.NodeStageVolumeResponse())
    (operation,) = operations_of(script.events)
    assert (operation.value.node, operation.type) == ("n2", "ok")


def test_a_mended_answer_is_believed_neither_way() -> None:
    script = Script()
    call = script.begin(delete())
    script.add("info", "fault", "nas.pool.dataset.query.reply", process="nas", value={"action": "corrupt"})
    script.end(call, csi.DeleteVolumeResponse())
    (operation,) = operations_of(script.events)
    assert operation.pending
