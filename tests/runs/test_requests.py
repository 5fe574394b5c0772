"""Requests from beliefs: each names its volume, its paths, and how it is used."""

import random

from csisim.co.plans import GIB, VolumePlan
from csisim.pb import csi_pb2 as csi
from csisim.runs import requests
from csisim.runs.beliefs import SnapshotBook, Spot, VolumeBook

VOLUME = VolumeBook(VolumePlan("pvc-1", "iscsi", ("node-1",), "ext4"), id="id-1", context={"lun": "0"})
SPOT = Spot(context={"readonly": "false"})
SNAPSHOT = SnapshotBook("snap-1", VOLUME, id="id-1@snap-1")
STAGING, TARGET = "/k/plugins/pvc-1/globalmount", "/k/pods/pod-2/volumes/pvc-1"


def test_what_a_controller_is_asked():
    assert requests.create(VOLUME, "").name == "pvc-1"
    other = requests.create(VOLUME, "", size_bytes=3 * GIB).capacity_range
    assert (other.required_bytes, other.limit_bytes) == (3 * GIB, 3 * GIB)
    published = requests.publish(VOLUME, "node-1")
    assert (published.volume_id, published.node_id, dict(published.volume_context)) == ("id-1", "node-1", {"lun": "0"})
    assert published.volume_capability == VOLUME.plan.capability()
    assert requests.unpublish(VOLUME, "node-1").node_id == "node-1"
    assert requests.expand(VOLUME, 2 * GIB).capacity_range.required_bytes == 2 * GIB
    assert dict(requests.modify(VOLUME, "lz4").mutable_parameters) == {"compression": "lz4"}
    assert requests.snapshot(SNAPSHOT, VOLUME).source_volume_id == "id-1"
    assert requests.delete_snapshot(SNAPSHOT).snapshot_id == "id-1@snap-1"
    assert requests.delete(VOLUME).volume_id == "id-1"


def test_what_a_node_is_asked():
    assert requests.staging_path("/k", VOLUME.plan) == STAGING
    assert requests.target_path("/k", VOLUME.plan, 2) == TARGET
    staged = requests.stage(VOLUME, SPOT, "/k")
    assert (staged.staging_target_path, dict(staged.publish_context)) == (STAGING, {"readonly": "false"})
    assert requests.unstage(VOLUME, "/k").staging_target_path == STAGING
    mounted = requests.node_publish(VOLUME, SPOT, "/k", TARGET)
    assert (mounted.staging_target_path, mounted.target_path) == (STAGING, TARGET)
    assert requests.node_unpublish(VOLUME, TARGET).target_path == TARGET
    assert requests.node_expand(VOLUME, "/k", TARGET).volume_path == TARGET
    assert requests.stats(VOLUME, "/k", TARGET).staging_target_path == STAGING


def test_only_what_is_known_is_looked_at():
    rng = random.Random(1)
    unknown = VolumeBook(VolumePlan("pvc-2", "nfs", ("node-1",)))
    asked = [requests.look(rng, unknown, None) for _ in range(200)]
    assert {csi.ListVolumesRequest, csi.ListSnapshotsRequest, csi.GetCapacityRequest} <= {type(each) for each in asked}
    for each in asked:
        assert not isinstance(each, csi.ControllerGetVolumeRequest | csi.ValidateVolumeCapabilitiesRequest)
        if isinstance(each, csi.GetSnapshotRequest | csi.DeleteSnapshotRequest):
            assert each.snapshot_id in requests.FOREIGN_IDS
    known = [requests.look(rng, VOLUME, SNAPSHOT) for _ in range(200)]
    assert {csi.ControllerGetVolumeRequest, csi.ValidateVolumeCapabilitiesRequest} <= {type(each) for each in known}
    assert csi.GetSnapshotRequest(snapshot_id="id-1@snap-1") in known
    assert csi.DeleteSnapshotRequest(snapshot_id="id-1@snap-1") not in known


def test_the_next_page_asks_for_the_same_from_there_on():
    first = csi.ListSnapshotsRequest(max_entries=1, source_volume_id="id-1")
    following = requests.next_page(first, "t")
    assert following == csi.ListSnapshotsRequest(max_entries=1, source_volume_id="id-1", starting_token="t")
    assert first.starting_token == ""
