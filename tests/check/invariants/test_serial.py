"""I10 over histories written by hand."""

from csisim.check.invariants.serial import i10
from tests.support.told import Told, summaries


def locked(told: Told, rpc: str, mode: str = "exclusive", key: str = "volume v") -> str:
    return told.begin("lock", key, "controller", rpc, mode=mode)


def overlapping(first: str, second: str) -> Told:
    told = Told()
    one = told.begin("rpc", "ControllerExpandVolume", "node-1", volume_id="v")
    other = told.begin("rpc", "DeleteVolume", "node-1", volume_id="v")
    locks = [locked(told, one, first), locked(told, other, second)]
    for call in (*locks, one, other):
        told.end(call)
    return told


def test_one_key_held_twice_is_a_violation() -> None:
    [found] = summaries(i10, overlapping("exclusive", "exclusive"))
    assert "The lock 'volume v' of controller was taken at 0.400 s for DeleteVolume(v)" in found
    assert "while it was held since 0.300 s for ControllerExpandVolume(v)" in found
    assert len(summaries(i10, overlapping("shared", "exclusive"))) == 1


def test_a_shared_key_may_be_held_by_several() -> None:
    assert summaries(i10, overlapping("shared", "shared")) == []


def test_a_lock_that_outlives_its_call_is_a_violation() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    locked(told, rpc)
    told.end(rpc, "info", code="CANCELLED")
    [found] = summaries(i10, told)
    assert "was held for ever, longer than its call" in found


def test_a_process_that_dies_frees_its_locks() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    locked(told, rpc)
    told.world("crash", what="driver")
    again = told.begin("rpc", "CreateVolume", "node-1", name="v")
    lock = locked(told, again)
    told.end(lock)
    told.end(again)
    assert summaries(i10, told) == []


def test_a_caller_that_dies_frees_no_locks() -> None:
    told = Told()
    rpc = told.begin("rpc", "CreateVolume", "node-1", name="v")
    locked(told, rpc)
    told.world("crash", what="provisioner")
    told.end(rpc, "info", code="CANCELLED")
    [found] = summaries(i10, told)
    assert "was held for ever, longer than its call" in found


def test_a_refused_lock_was_never_held() -> None:
    told = overlapping("shared", "shared")
    told.add("fail", "lock", "volume v", call="refused", process="controller", value={"reason": "busy"})
    assert summaries(i10, told) == []


def changed(*order: str, died: bool = False) -> Told:
    told = Told()
    rpcs = {name: told.begin("rpc", "ControllerExpandVolume", "node-1", volume_id="v", number=name) for name in "AB"}
    for name in order:
        update = told.begin("nas", "pool.dataset.update", "nas", rpcs[name], params=["t/v", {"refquota": 1}])
        told.end(update, changes=1)
        if died:
            told.world("crash", what="driver")
    for rpc in rpcs.values():
        told.end(rpc)
    return told


def test_work_that_interleaves_is_a_violation() -> None:
    [found] = summaries(i10, changed("A", "B", "A"))
    assert "changed volume v at 0.400 s and again at 0.700 s, and in between" in found


def exported(*order: str) -> Told:
    told = Told()
    rpcs = {
        "delete": told.begin("rpc", "DeleteVolume", "node-1", volume_id="v"),
        "create": told.begin("rpc", "CreateVolume", "node-1", name="v"),
    }
    for step in order:
        rpc, method, happened, thing = step.split(maxsplit=3)
        nas = told.begin("nas", method, "nas", rpcs[rpc], params=[1])
        told.add("info", "truth", happened, process="nas", parent=nas, value={"object": thing})
        told.end(nas, changes=1)
    for call in rpcs.values():
        told.end(call)
    return told


def test_work_on_the_ways_to_a_volume_interleaves_just_so() -> None:
    gone = "delete iscsi.target.delete destroyed iscsi target v"
    made = "create iscsi.extent.create created iscsi extent v"
    last = "delete iscsi.extent.delete destroyed iscsi extent v"
    [found] = summaries(i10, exported(gone, made, last))
    assert "DeleteVolume(v)" in found
    assert "changed volume v at" in found
    assert summaries(i10, exported(gone, last, made)) == []
    pairs = [
        step.replace("extent v", "target-extent 1").replace("target v", "target-extent 1") for step in (gone, made)
    ]
    assert summaries(i10, exported(*pairs, last)) == []


def test_one_after_the_other_is_fine_and_so_is_what_lands_after_a_crash() -> None:
    assert summaries(i10, changed("A", "A", "B", "B")) == []
    assert summaries(i10, changed("A", "B", "A", died=True)) == []
