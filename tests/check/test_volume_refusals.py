"""Which refusals fit which states."""

import pytest
from google.protobuf.message import Message

from csisim.check.volume_model import check_volumes
from csisim.pb import csi_pb2 as csi
from tests.support.calls import (
    SHARED,
    Script,
    create,
    created,
    cut,
    delete,
    destroy,
    expand,
    get,
    publish,
    snapshot,
    unpublish,
)

Step = tuple[Message, Message | str | None]
MADE: Step = (create(), created())
GONE: tuple[Step, ...] = (MADE, (delete(), None))
RESTORED = create("pvc-2")
RESTORED.volume_content_source.snapshot.snapshot_id = "pvc-1@s"
CLONED = create("pvc-2")
CLONED.volume_content_source.volume.volume_id = "pvc-1"
SEE = csi.GetSnapshotRequest(snapshot_id="pvc-1@s")
MODIFY = csi.ControllerModifyVolumeRequest(volume_id="pvc-1", mutable_parameters={"sync": "always"})
VALIDATE = csi.ValidateVolumeCapabilitiesRequest(volume_id="pvc-1")
SECRET = {"mount_flags": ["password=x"]}

FITTING: dict[str, tuple[Step, ...]] = {
    "gone for all who ask": (*GONE, *[(each, "NOT_FOUND") for each in (publish(), expand(2), get(), MODIFY, VALIDATE, cut())]),
    "gone or never there": (*GONE, (unpublish(), "NOT_FOUND")),
    "a source that is gone": (MADE, (RESTORED, "NOT_FOUND")),
    "an unknown node": (MADE, (publish("nobody"), "NOT_FOUND")),
    "another size": (MADE, (create(size=2), "ALREADY_EXISTS")),
    "another parameter": (MADE, (create(protocol="iscsi"), "ALREADY_EXISTS")),
    "published in another way": (MADE, (publish(), None), (publish(readonly=True), "ALREADY_EXISTS")),
    "flags that may differ unseen": (MADE, (publish(**SECRET), None), (publish(**SECRET), "ALREADY_EXISTS")),
    "a snapshot of another volume": (MADE, (cut(source="pvc-9"), snapshot(source="pvc-9")), (cut(), "ALREADY_EXISTS")),
    "in use": (MADE, (publish(), None), (delete(), "FAILED_PRECONDITION")),
    "with a snapshot": (MADE, (cut(), snapshot()), (delete(), "FAILED_PRECONDITION")),
    "cloned": (MADE, (CLONED, created("pvc-2")), (delete(), "FAILED_PRECONDITION")),
    "published elsewhere": (MADE, (publish(), None), (publish("n2"), "FAILED_PRECONDITION")),
    "one does not share": (MADE, (publish(), None), (publish("n2", mode=SHARED), "FAILED_PRECONDITION")),
    "restored": (MADE, (cut(), snapshot()), (RESTORED, created("pvc-2")), (destroy(), "FAILED_PRECONDITION")),
    "no such snapshot": (MADE, (cut(), snapshot()), (destroy(), None), (SEE, "NOT_FOUND")),
    "what depends on the world": (MADE, (expand(9), "OUT_OF_RANGE"), (publish(), "RESOURCE_EXHAUSTED"), (delete(), "ABORTED")),
}  # fmt: skip
CONTRADICTING: dict[str, tuple[tuple[Step, ...], str]] = {
    **{f"{type(each).__name__} of what is there": ((MADE, (publish(), None), (each, "NOT_FOUND")), "it exists")
       for each in (publish(), expand(2), get(), MODIFY, VALIDATE, cut())},
    "a missing source that nobody asked for": (((create(), "NOT_FOUND"), MADE), "asked for without a source"),
    "a deletion of what is gone": ((*GONE, (delete(), "NOT_FOUND")), "a deletion of what is gone succeeds"),
    "a deletion of a snapshot": ((MADE, (cut(), snapshot()), (destroy(), "NOT_FOUND")), "of what is gone succeeds"),
    "detached from where it is attached": ((MADE, (publish(), None), (unpublish(), "NOT_FOUND")), "published on n1"),
    "taken when nothing is there": ((*GONE, (create(), "ALREADY_EXISTS")), "it does not exist"),
    "taken by what was asked for": ((MADE, (create(), "ALREADY_EXISTS")), "what exists is what was asked for"),
    "published there in this way": ((MADE, (publish(), None), (publish(), "ALREADY_EXISTS")), "there in this way"),
    "published nowhere": ((MADE, (publish(), "ALREADY_EXISTS"), (publish(), None)), "it is not published on n1"),
    "a name used once": ((MADE, (cut(), "ALREADY_EXISTS")), "nobody asked for a snapshot of that name"),
    "not in use": ((MADE, (delete(), "FAILED_PRECONDITION")), "it is neither published nor has it snapshots"),
    "in use when gone": ((*GONE, (delete(), "FAILED_PRECONDITION")), "it does not exist"),
    "published elsewhere when nowhere": ((MADE, (publish(), "FAILED_PRECONDITION")), "not published on another node"),
    "published there already": ((MADE, (publish(), None), (publish(), "FAILED_PRECONDITION")), "on n1 already"),
    "a snapshot without copies": ((MADE, (cut(), snapshot()), (destroy(), "FAILED_PRECONDITION")), "ever made from"),
    "a snapshot that is there": ((MADE, (cut(), snapshot()), (SEE, "NOT_FOUND")), "the snapshot exists"),
}  # fmt: skip


def script_of(steps: tuple[Step, ...]) -> Script:
    script = Script()
    for request, answer in steps:
        script.call(request, answer)
    return script


@pytest.mark.parametrize("name", FITTING)
def test_a_refusal_that_fits(name: str) -> None:
    found = check_volumes(script_of(FITTING[name]).events)
    assert found.violations == ()


@pytest.mark.parametrize("name", CONTRADICTING)
def test_a_refusal_that_contradicts_what_is_there(name: str) -> None:
    steps, reason = CONTRADICTING[name]
    (violation,) = check_volumes(script_of(steps).events).violations
    assert reason in violation.summary


@pytest.mark.parametrize(
    ("site", "action", "verdict"),
    [
        ("nas.pool.dataset.delete.request", "error(EBUSY)", "ok"),
        ("rpc.DeleteVolume.before", "error(FAILED_PRECONDITION)", "ok"),
        ("nas.pool.dataset.delete.request", "delay(10ms)", "violation"),
    ],
)
def test_a_fault_excuses_a_code_but_only_one_that_answers(site: str, action: str, verdict: str) -> None:
    script = script_of((MADE,))
    call = script.begin(delete())
    script.add("info", "fault", site, process="nas", value={"site": site, "action": action})
    script.end(call, "FAILED_PRECONDITION")
    script.call(get(), "ABORTED")
    assert check_volumes(script.events).verdict == verdict


@pytest.mark.parametrize(
    ("site", "verdict"), [("rpc.DeleteVolume.after", "ok"), ("rpc.DeleteVolume.before", "violation")]
)
def test_a_refusal_behind_the_effect_does_not_say_that_nothing_happened(site: str, verdict: str) -> None:
    script = script_of((MADE,))
    call = script.begin(delete())
    script.add("info", "fault", site, value={"site": site, "action": "error(RESOURCE_EXHAUSTED)"})
    script.end(call, "RESOURCE_EXHAUSTED")
    script.call(get(), "NOT_FOUND")
    assert check_volumes(script.events).verdict == verdict
