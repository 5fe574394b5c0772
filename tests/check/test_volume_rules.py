"""What each call's success needs and does: two steps that go together, and two that do not."""

from typing import Any

import pytest
from google.protobuf.message import Message

from csisim.check.volume_model import check_volumes
from csisim.pb import csi_pb2 as csi
from tests.support.calls import (
    SHARED,
    Script,
    bind,
    create,
    created,
    cut,
    delete,
    destroy,
    expand,
    expanded,
    get,
    got,
    publish,
    snapshot,
    stage,
    stats,
    unbind,
    unpublish,
    unstage,
)

NODE = "kubelet n1"
Step = tuple[Message, Message | str | None]
MADE: Step = (create(), created())
STATS = stats()
FROM_SNAPSHOT = create()
FROM_SNAPSHOT.volume_content_source.snapshot.snapshot_id = "pvc-0@s"


def told(*steps: Step) -> tuple[str, str]:
    """Verdict, and the reason of a violation."""
    script = Script()
    for request, answer in steps:
        script.call(request, answer, NODE if type(request).__name__.startswith("Node") else "client-1")
    found = check_volumes(script.events)
    reasons = [each.summary.partition(" s, but ")[2] for each in found.violations]
    return found.verdict, "; ".join(reasons)


ON_NODE: tuple[Step, ...] = (MADE, (publish(), None), (stage(), None), (bind(), None))

POSSIBLE: dict[str, tuple[Step, ...]] = {
    "a repeat with a default spelled out": (MADE, (create(protocol="nfs"), created())),
    "a repeat with more information": (MADE, (create(**{"csi.storage.k8s.io/pvc/name": "x"}), created())),
    "a size between required and limit": ((create(size=1, limit=3), created(size=2)), (get(), got(size=2))),
    "a size that only the next answer tells": ((create(size=1, limit=3), "UNAVAILABLE"), (get(), got(size=3))),
    "another id after a deletion": (MADE, (delete(), None), (create(), created("other"))),
    "the old id is gone": (
        MADE,
        (delete(), None),
        (create(), created("other")),
        (delete(), None),
        (create(), created("other")),
    ),
    "growing to what is there": (MADE, (expand(1), expanded(1))),
    "growing beyond what was asked for": (MADE, (expand(2, limit=4), expanded(3)), (get(), got(size=3))),
    "a lost expansion": (MADE, (expand(2), "UNAVAILABLE"), (get(), got(size=1)), (get(), got(size=2))),
    "two nodes that share": (MADE, (publish("n1", mode=SHARED), None), (publish("n2", mode=SHARED), None)),
    "all nodes at once": (MADE, (publish(), None), (unpublish(""), None), (publish("n2"), None), (get(), got("n2"))),
    "a node detached from what is gone": (MADE, (delete(), None), (unpublish(), None)),
    "the same snapshot again": (MADE, (cut(), snapshot()), (cut(), snapshot())),
    "a deletion after its snapshot's": (MADE, (cut(), snapshot()), (destroy(), None), (delete(), None)),
    "a staged repeat that could not ask": (
        MADE,
        (publish(), None),
        (stage(), None),
        (unpublish(), None),
        (stage(), None),
    ),
    "statistics where it is": (*ON_NODE, (STATS, None)),
    "all the way back": (*ON_NODE, (unbind(), None), (unstage(), None), (unpublish(), None), (delete(), None)),
    "unstaging elsewhere does nothing": (*ON_NODE, (unstage("/elsewhere"), None), (STATS, None)),
    "a refused staging that was done in part": (
        MADE,
        (publish(), None),
        (stage(), "RESOURCE_EXHAUSTED"),
        (bind(), None),
    ),
}
IMPOSSIBLE: dict[str, tuple[tuple[Step, ...], str]] = {
    "another parameter": (((create(protocol="nfs"), created()), (create(protocol="iscsi"), created())), "parameter protocol"),
    "another source": ((MADE, (FROM_SNAPSHOT, created())), "another source"),
    "another size": ((MADE, (create(), created(size=2))), "it has 1073741824 bytes, not 2147483648"),
    "too small a size": (((create(size=2), created(size=1)),), "1073741824 bytes were answered"),
    "another id of one volume": ((MADE, (create(), created("other"))), "another id, pvc-1"),
    "deleted while published": ((MADE, (publish(), None), (delete(), None)), "it is published on n1"),
    "deleted with a snapshot": ((MADE, (cut(), snapshot()), (delete(), None)), "it has the snapshot s"),
    "grown when gone": ((MADE, (delete(), None), (expand(2), expanded(2))), "it does not exist"),
    "not grown enough": ((MADE, (expand(2), expanded(1))), "1073741824 bytes were answered"),
    "grown without need": ((MADE, (expand(1), expanded(2))), "enough already"),
    "shrunk": ((MADE, (expand(2), expanded(2)), (get(), got(size=1))), "it has 2147483648 bytes"),
    "published when gone": ((MADE, (delete(), None), (publish(), None)), "it does not exist"),
    "published in two ways": ((MADE, (publish(), None), (publish(readonly=True), None)), "in another way"),
    "two nodes": ((MADE, (publish(), None), (publish("n2"), None)), "it is published on n1, and not for several nodes"),
    "seen published where it is not": ((MADE, (publish(), None), (get(), got("n2"))), "it is published on n1"),
    "a snapshot of what is gone": ((MADE, (delete(), None), (cut(), snapshot())), "the source volume does not exist"),
    "staged before it is published": ((MADE, (stage(), None), (publish(), None)), "it is not published on n1"),
    "staged when gone": ((MADE, (delete(), None), (stage(), None)), "it does not exist"),
    "published before it is staged": ((MADE, (publish(), None), (bind(), None)), "it is not staged on n1 at /stage"),
    "published there in two ways": ((*ON_NODE, (bind(readonly=True), None)), "published at /pod in another way"),
    "unstaged while published": ((*ON_NODE, (unstage(), None)), "it is published on n1 at /pod"),
    "statistics where it is not": ((*ON_NODE, (unbind(), None), (STATS, None)), "it is not on n1 at /pod"),
}  # fmt: skip


@pytest.mark.parametrize("name", POSSIBLE)
def test_an_answer_that_fits(name: str) -> None:
    assert told(*POSSIBLE[name]) == ("ok", "")


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_answer_that_contradicts_what_went_before(name: str) -> None:
    steps, reason = IMPOSSIBLE[name]
    verdict, found = told(*steps)
    assert verdict == "violation"
    assert reason in found


def reboot(script: Script, **value: Any) -> None:
    script.add("info", "world", "crash", process="world", value={"what": "reboot", "down_s": 1.0, **value})
    script.add("info", "world", "restart", process="world", value={"what": "reboot", "down_s": 1.0, **value})


@pytest.mark.parametrize(("node", "verdict"), [("n1", "ok"), ("n2", "violation")])
def test_a_reboot_takes_away_what_was_mounted_on_that_node(node: str, verdict: str) -> None:
    script = Script()
    for request, answer in ON_NODE:
        script.call(request, answer, NODE)
    reboot(script, node=node)
    script.call(unstage(), process=NODE)
    assert check_volumes(script.events).verdict == verdict


def test_where_nobody_attaches_volumes_they_are_staged_without() -> None:
    assert told(MADE, (stage(), None), (bind(), None)) == ("ok", "")
    assert told(MADE, (delete(), None), (stage(), None)) == ("violation", "it does not exist.")


def test_a_group_snapshot_keeps_each_of_its_volumes_until_it_is_deleted() -> None:
    script = Script()
    for name in ("a", "b"):
        script.call(create(name), created(name))
    members = [csi.Snapshot(snapshot_id=f"{each}@g", source_volume_id=each) for each in ("a", "b")]
    group = csi.VolumeGroupSnapshot(group_snapshot_id="g", snapshots=members)
    request = csi.CreateVolumeGroupSnapshotRequest(name="g", source_volume_ids=["a", "b"])
    script.call(request, csi.CreateVolumeGroupSnapshotResponse(group_snapshot=group))
    script.call(delete("a"), "FAILED_PRECONDITION")
    script.call(csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id="g", snapshot_ids=["a@g", "b@g"]))
    script.call(delete("a"))
    assert check_volumes(script.events).verdict == "ok"
    without = Script()
    without.call(create("b"), created("b"))
    without.call(request, csi.CreateVolumeGroupSnapshotResponse(group_snapshot=group))
    without.call(delete("b"))
    assert "it has the snapshot group g" in check_volumes(without.events).violations[0].summary
