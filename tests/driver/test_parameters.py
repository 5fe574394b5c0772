"""StorageClass and VolumeAttributesClass parameters."""

import pytest

from csisim.driver.parameters import (
    Protocol,
    mutable_parameters,
    not_in_force,
    unlike,
    unsupported,
    volume_parameters,
)
from csisim.driver.requests import AccessType, Capability
from csisim.errors import InvalidArgument
from csisim.pb import csi_pb2 as pb

MODE = pb.VolumeCapability.AccessMode
MOUNT = Capability(AccessType.MOUNT, MODE.SINGLE_NODE_WRITER)
SHARED = Capability(AccessType.MOUNT, MODE.MULTI_NODE_MULTI_WRITER)
BLOCK = Capability(AccessType.BLOCK, MODE.MULTI_NODE_MULTI_WRITER)


@pytest.mark.parametrize(
    ("parameters", "capability", "expected"),
    [
        ({}, MOUNT, Protocol.NFS),
        ({}, BLOCK, Protocol.ISCSI),
        ({"protocol": "NVMEOF"}, BLOCK, Protocol.NVMEOF),
        ({"protocol": "iscsi"}, MOUNT, Protocol.ISCSI),
        ({"csi.storage.k8s.io/pvc/name": "data"}, MOUNT, Protocol.NFS),
    ],
)
def test_the_protocol_is_the_one_asked_for_or_the_one_that_fits(parameters, capability, expected):
    assert volume_parameters(parameters, [capability]).protocol is expected


@pytest.mark.parametrize(
    ("parameters", "capability"),
    [
        ({"protocol": "smb"}, MOUNT),
        ({"protocl": "nfs"}, MOUNT),
        ({"protocol": "nfs"}, BLOCK),
        ({"protocol": "iscsi"}, SHARED),
        ({"provisioning": "fat"}, MOUNT),
        ({"protocol": "iscsi"}, Capability(AccessType.MOUNT, MODE.SINGLE_NODE_WRITER, "ntfs")),
        ({}, Capability(AccessType.MOUNT, MODE.SINGLE_NODE_WRITER, "ntfs")),
    ],
)
def test_what_cannot_be_given_is_refused(parameters, capability):
    with pytest.raises(InvalidArgument):
        volume_parameters(parameters, [capability])


def test_a_shared_read_only_file_system_on_a_block_device_is_safe():
    reader = Capability(AccessType.MOUNT, MODE.MULTI_NODE_READER_ONLY)

    assert unsupported(Protocol.ISCSI, [reader]) == ""


def test_thick_and_thin_volumes_are_told_apart_on_a_repeat():
    thin = volume_parameters({"protocol": "iscsi"}, [MOUNT])
    thick = volume_parameters({"protocol": "iscsi", "provisioning": "thick"}, [MOUNT])

    assert thin.summary() != thick.summary()


@pytest.mark.parametrize("provisioning", ["thin", "thick"])
@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_volume_is_like_what_it_was_made_with_and_like_parts_of_it_only(protocol, provisioning):
    made = volume_parameters({"protocol": protocol, "provisioning": provisioning}, [MOUNT]).summary()
    other = "thin" if provisioning == "thick" else "thick"

    for part in ({}, {"protocol": protocol.upper()}, {"provisioning": provisioning}, {"csi.storage.k8s.io/x": "y"}):
        assert unlike(part, protocol, made) == ""
    assert f"made as {made}, not as {protocol} {other}" in unlike({"provisioning": other}, protocol, made)
    assert "bogus" in unlike({"bogus": "1"}, protocol, made)
    assert "smb" in unlike({"protocol": "smb"}, protocol, made)


def test_settings_in_force_are_told_from_others():
    settings = {"compression": "LZ4", "sync": "STANDARD", "comments": ""}

    assert not_in_force({"compression": "lz4", "sync": "standard"}, settings) == ""
    assert not_in_force({}, settings) == ""
    assert not_in_force({"compression": "zstd"}, settings) == "compression is LZ4, not ZSTD"
    assert not_in_force({"comments": "x"}, settings) == "comments is not set, not x"
    assert "nonsense" in not_in_force({"nonsense": "1"}, settings)


def test_mutable_parameters_are_spelled_as_the_nas_wants_them():
    settings = mutable_parameters({"compression": "zstd", "sync": "Always", "comments": "for Ada"})

    assert settings == {"compression": "ZSTD", "sync": "ALWAYS", "comments": "for Ada"}


@pytest.mark.parametrize(
    "parameters", [{"XXX_FakeKey": "XXX_FakeValue"}, {"sync": "maybe"}, {"comments": "a\nb"}, {"comments": "c" * 257}]
)
def test_mutable_parameters_outside_the_list_are_refused(parameters):
    with pytest.raises(InvalidArgument, match=next(iter(parameters))):
        mutable_parameters(parameters)
