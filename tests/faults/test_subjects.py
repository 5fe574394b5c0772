"""What requests are about."""

import pytest

from csisim.faults.subjects import call_info
from csisim.pb import csi_pb2 as csi


@pytest.mark.parametrize(
    ("method", "request_", "expected"),
    [
        ("CreateVolume", csi.CreateVolumeRequest(name="pvc-1"), ("pvc-1", "", "here")),
        ("DeleteVolume", csi.DeleteVolumeRequest(volume_id="pvc-1"), ("pvc-1", "", "here")),
        ("CreateSnapshot", csi.CreateSnapshotRequest(source_volume_id="v", name="s"), ("v", "s", "here")),
        ("ListSnapshots", csi.ListSnapshotsRequest(source_volume_id="v", snapshot_id="v@s"), ("v", "v@s", "here")),
        ("ControllerPublishVolume", csi.ControllerPublishVolumeRequest(volume_id="v", node_id="n"), ("v", "", "n")),
        ("Probe", csi.ProbeRequest(), ("", "", "here")),
    ],
)
def test_volume_snapshot_and_node_of_a_request(method, request_, expected):
    found = call_info("c1", method, request_, node="here")
    assert (found.vol, found.snap, found.node) == expected


def test_what_a_call_brought_along_is_kept():
    found = call_info("c7", "Probe", csi.ProbeRequest(), client="me")
    assert (found.call_id, found.method, found.client, found.own, found.phase) == ("c7", "Probe", "me", (), "use")
