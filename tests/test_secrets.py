import json

from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from csisim.secrets import STRIPPED, grpc_call, stripped

CANARY = "canary-7f3a"


def test_secret_maps_lose_their_keys_and_values():
    request = csi.CreateVolumeRequest(name="pvc-1", secrets={"user": CANARY, CANARY: "x"})

    assert stripped(request) == {"name": "pvc-1", "secrets": STRIPPED}


def test_no_value_of_any_field_marked_secret_survives_in_any_message():
    found = 0
    for message_type in csi.DESCRIPTOR.message_types_by_name.values():
        for field in message_type.fields:
            if not field.GetOptions().Extensions[csi.csi_secret]:
                continue
            found += 1
            message = getattr(csi, message_type.name)(**{field.name: {CANARY: CANARY}})
            text = json.dumps(stripped(message))
            assert CANARY not in text
            assert STRIPPED in text
    assert found == 22


def test_nested_messages_enums_lists_and_maps_become_plain_data():
    request = csi.CreateVolumeRequest(
        name="pvc-1",
        capacity_range=csi.CapacityRange(required_bytes=1 << 40),
        parameters={"protocol": "iscsi"},
        volume_capabilities=[
            csi.VolumeCapability(
                mount=csi.VolumeCapability.MountVolume(fs_type="ext4"),
                access_mode=csi.VolumeCapability.AccessMode(mode="SINGLE_NODE_WRITER"),
            )
        ],
    )

    assert stripped(request) == {
        "name": "pvc-1",
        "capacity_range": {"required_bytes": 1 << 40},
        "parameters": {"protocol": "iscsi"},
        "volume_capabilities": [{"mount": {"fs_type": "ext4"}, "access_mode": {"mode": "SINGLE_NODE_WRITER"}}],
    }


def test_an_enum_number_from_a_newer_caller_stays_a_number():
    mode = csi.VolumeCapability.AccessMode()
    mode.ParseFromString(b"\x08\x63")

    assert stripped(mode) == {"mode": 99}


def test_the_call_record_has_the_shape_that_test_tools_parse():
    request = csi.DeleteVolumeRequest(volume_id="pvc-1", secrets={"k": CANARY})

    failed = grpc_call("/csi.v1.Controller/DeleteVolume", request, None, StatusCode.ABORTED, "busy")
    fine = grpc_call("/csi.v1.Controller/DeleteVolume", request, csi.DeleteVolumeResponse())

    assert failed == {
        "Method": "/csi.v1.Controller/DeleteVolume",
        "Request": {"volume_id": "pvc-1", "secrets": STRIPPED},
        "Response": None,
        "Error": "rpc error: code = ABORTED desc = busy",
        "FullError": {"code": 10, "message": "busy"},
    }
    assert (fine["Response"], fine["Error"], fine["FullError"]) == ({}, "", None)


def test_mount_flags_may_hold_credentials_and_are_taken_out():
    mount = csi.VolumeCapability.MountVolume(fs_type="ext4", mount_flags=["username=ada", "password=hunter2"])
    request = csi.NodeStageVolumeRequest(volume_capability=csi.VolumeCapability(mount=mount))

    assert stripped(request)["volume_capability"]["mount"] == {"fs_type": "ext4", "mount_flags": STRIPPED}
