from csisim.co.plans import GIB, VolumePlan
from csisim.pb import csi_pb2 as csi


def test_requests_say_how_the_volume_is_used():
    shared = VolumePlan("pvc-1", "nfs", ("node-1", "node-2")).create_request()
    assert shared.volume_capabilities[0].access_mode.mode == csi.VolumeCapability.AccessMode.MULTI_NODE_MULTI_WRITER
    assert shared.parameters == {"protocol": "nfs"}
    assert shared.capacity_range.required_bytes == GIB
    assert not shared.HasField("volume_content_source")
    raw = VolumePlan("pvc-2", "iscsi", ("node-1",), block=True).create_request()
    assert raw.volume_capabilities[0].WhichOneof("access_type") == "block"


def test_requests_of_copies_name_their_source():
    restored = VolumePlan("pvc-3", "nfs", ("node-1",), source_snapshot="snap").create_request("id@snap")
    assert restored.volume_content_source.snapshot.snapshot_id == "id@snap"
    cloned = VolumePlan("pvc-4", "nfs", ("node-1",), source_volume="pvc-1").create_request("id")
    assert cloned.volume_content_source.volume.volume_id == "id"


def test_a_volume_grows_to_twice_its_size():
    assert VolumePlan("pvc-1", "nfs", ("node-1",), size_bytes=3 * GIB).grown_bytes == 6 * GIB
