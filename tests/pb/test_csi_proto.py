"""The compiled csi.proto is CSI 1.13.0, field by field, and the generated modules are what protos/csi.proto yields."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from csisim.pb import csi_pb2
from tests.pb import describe as wire
from tools.generate_pb import generate

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
REFERENCE: dict[str, Any] = json.loads((HERE / "csi-v1.13.json").read_text())


def compiled() -> FileDescriptorProto:
    file = FileDescriptorProto()
    csi_pb2.DESCRIPTOR.CopyToProto(file)
    return file


def differences(file: FileDescriptorProto, reference: dict[str, Any] = REFERENCE) -> list[str]:
    return sorted(wire.differences(wire.expected(reference), wire.describe(file)))


def message(file: FileDescriptorProto, name: str) -> Any:
    return next(found for found in file.message_type if found.name == name)


def field(file: FileDescriptorProto, owner: str, name: str) -> Any:
    return next(found for found in message(file, owner).field if found.name == name)


def service(file: FileDescriptorProto, name: str) -> Any:
    return next(found for found in file.service if found.name == name)


def access_modes(file: FileDescriptorProto) -> Any:
    return next(m for m in message(file, "VolumeCapability").nested_type if m.name == "AccessMode").enum_type[0]


def test_compiled_descriptor_equals_the_reference_in_both_directions() -> None:
    assert differences(compiled()) == []


def test_reference_is_csi_1_13_with_its_36_rpcs() -> None:
    assert sum(len(one["rpcs"]) for one in REFERENCE["services"].values()) == 36
    assert len(REFERENCE["messages"]) == 104
    assert "ControllerListVolumeHealth" in [rpc["name"] for rpc in REFERENCE["services"]["Controller"]["rpcs"]]


def drop_oneof(file: FileDescriptorProto) -> None:
    field(file, "VolumeCapability", "block").ClearField("oneof_index")


def add_field(file: FileDescriptorProto) -> None:
    string = FieldDescriptorProto.TYPE_STRING
    message(file, "Volume").field.add(name="extra", number=99, type=string, label=FieldDescriptorProto.LABEL_OPTIONAL)


def clear_secret(file: FileDescriptorProto) -> None:
    field(file, "CreateVolumeRequest", "secrets").ClearField("options")


def change_map_value(file: FileDescriptorProto) -> None:
    entry = next(m for m in message(file, "CreateVolumeRequest").nested_type if m.name == "ParametersEntry")
    entry.field[1].type = FieldDescriptorProto.TYPE_BYTES


Damage = Callable[[FileDescriptorProto], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "package": (lambda f: setattr(f, "package", "csi.v2"), "/package"),
    "import": (lambda f: f.dependency.pop(), "/imports"),
    "extension number": (lambda f: setattr(f.extension[0], "number", 1061), "/extensions/"),
    "extension missing": (lambda f: f.extension.pop(), "/extensions/"),
    "field number": (
        lambda f: setattr(field(f, "Volume", "volume_id"), "number", 9),
        "/Volume/fields/volume_id/number",
    ),
    "field name": (
        lambda f: setattr(field(f, "Volume", "volume_id"), "name", "id"),
        "/Volume/fields/volume_id: missing",
    ),
    "field type": (
        lambda f: setattr(field(f, "CapacityRange", "limit_bytes"), "type", FieldDescriptorProto.TYPE_UINT64),
        "/CapacityRange/fields/limit_bytes/type",
    ),
    "field repeated": (
        lambda f: setattr(field(f, "Volume", "accessible_topology"), "label", FieldDescriptorProto.LABEL_OPTIONAL),
        "/Volume/fields/accessible_topology/repeated",
    ),
    "field extra": (add_field, "/Volume/fields/extra: should not exist"),
    "field option": (clear_secret, "/CreateVolumeRequest/fields/secrets/options"),
    "field missing": (lambda f: message(f, "Snapshot").field.pop(), "/Snapshot/fields/accessible_topology: missing"),
    "map value": (change_map_value, "/CreateVolumeRequest/fields/parameters/type"),
    "oneof": (drop_oneof, "/VolumeCapability/fields/block/oneof"),
    "message missing": (lambda f: f.message_type.pop(), "/messages/GetMetadataDeltaResponse: missing"),
    "message extra": (lambda f: f.message_type.add(name="VolumeCondition"), "/VolumeCondition: should not exist"),
    "message option": (lambda f: message(f, "VolumeHealth").ClearField("options"), "/VolumeHealth/options"),
    "nested message": (lambda f: message(f, "PluginCapability").nested_type.pop(), "/PluginCapability.VolumeExpansion"),
    "message reserved": (
        lambda f: message(f, "NodeGetVolumeStatsResponse").ClearField("reserved_range"),
        "/NodeGetVolumeStatsResponse/reserved_numbers",
    ),
    "enum number": (lambda f: setattr(access_modes(f).value[1], "number", 21), "Mode/values/SINGLE_NODE_WRITER"),
    "enum value": (lambda f: access_modes(f).value.pop(), "Mode/values/SINGLE_NODE_MULTI_WRITER: missing"),
    "enum option": (lambda f: access_modes(f).value[6].ClearField("options"), "Mode/value_options"),
    "service missing": (lambda f: f.service.pop(), "/services/"),
    "service option": (lambda f: service(f, "SnapshotMetadata").ClearField("options"), "/SnapshotMetadata/options"),
    "rpc missing": (lambda f: service(f, "Identity").method.pop(), "/Identity/rpcs/Probe: missing"),
    "rpc request": (
        lambda f: setattr(service(f, "Identity").method[0], "input_type", ".csi.v1.ProbeRequest"),
        "/Identity/rpcs/GetPluginInfo/request",
    ),
    "rpc streaming": (
        lambda f: setattr(service(f, "SnapshotMetadata").method[0], "server_streaming", False),
        "/GetMetadataAllocated/server_streaming",
    ),
    "rpc option": (
        lambda f: next(m for m in service(f, "Controller").method if m.name == "GetSnapshot").ClearField("options"),
        "/GetSnapshot/options",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_comparison_reports_damage_where_it_is(name: str) -> None:
    damage, where = DAMAGES[name]
    file = compiled()
    damage(file)
    found = differences(file)
    assert found
    assert any(where in line for line in found), found


@pytest.mark.parametrize("enum", ["ControllerServiceCapability.RPC.Type", "NodeServiceCapability.RPC.Type"])
def test_comparison_sees_a_reserved_enum_number_taken_back(enum: str) -> None:
    reference = json.loads(json.dumps(REFERENCE))
    del reference["enums"][enum]["reserved_numbers"]
    assert [line.split(":")[0] for line in differences(compiled(), reference)] == [f"/enums/{enum}/reserved_numbers"]


def test_every_field_of_the_reference_is_compared() -> None:
    """Shifting any one number in the reference is noticed: no field is skipped by the comparison."""
    file, total = wire.describe(compiled()), 0
    for name, described in wire.expected(REFERENCE)["messages"].items():
        for field_name, wanted in described["fields"].items():
            shifted = {**wanted, "number": wanted["number"] + 1}
            assert list(wire.differences(shifted, file["messages"][name]["fields"][field_name]))
            total += 1
    assert total == 216


def test_regenerated_modules_equal_the_committed_ones(tmp_path: Path) -> None:
    written = generate(tmp_path)
    assert [path.name for path in written] == ["csi_pb2.py", "csi_pb2.pyi", "csi_pb2_grpc.py", "csi_pb2_grpc.pyi"]
    stale = [path.name for path in written if path.read_bytes() != (ROOT / "csisim" / "pb" / path.name).read_bytes()]
    assert stale == [], "run `make protos` and commit the result"
