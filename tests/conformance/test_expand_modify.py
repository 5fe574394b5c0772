"""ExpandVolume and ModifyVolume, as csi-sanity asserts them."""

from typing import Any

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import EXPANDED_BYTES, FAKE_KEY, MUTABLE, Sanity, unique

spec = pytest.mark.spec


@spec("ExpandVolume [Controller Server] should fail if no volume id is given")
def test_expand_without_id(sanity: Sanity) -> None:
    wanted = csi.CapacityRange(required_bytes=EXPANDED_BYTES)
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerExpandVolumeRequest(capacity_range=wanted))


@spec("ExpandVolume [Controller Server] should fail if no capacity range is given")
def test_expand_without_size(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerExpandVolumeRequest())


@spec("ExpandVolume [Controller Server] should work")
def test_expand(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-expand-volume")
    request = csi.ControllerExpandVolumeRequest(
        volume_id=volume.volume_id, capacity_range=csi.CapacityRange(required_bytes=EXPANDED_BYTES)
    )
    assert sanity.call(request).capacity_bytes == EXPANDED_BYTES


def _modify(sanity: Sanity, volume: Any, parameters: dict[str, str]) -> None:
    request = csi.ControllerModifyVolumeRequest(volume_id=volume.volume_id, mutable_parameters=parameters)
    sanity.call(request)


@spec("ModifyVolume [Controller Server] should fail if no volume id is given")
def test_modify_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerModifyVolumeRequest(mutable_parameters=MUTABLE))


@pytest.mark.parametrize("parameters", [MUTABLE, {}], ids=["given", "empty"])
@spec("ModifyVolume [Controller Server] should fail if volume does not exist")
def test_modify_an_unknown_volume(sanity: Sanity, parameters: dict[str, str]) -> None:
    volume = csi.Volume(volume_id=unique("sanity-modify-unknown"))
    with refused(StatusCode.NOT_FOUND):
        _modify(sanity, volume, parameters)


@spec("ModifyVolume [Controller Server] should fail if specified mutable parameters are not supported by the volume")
def test_modify_with_unknown_parameters(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-modify-volume")
    with refused(StatusCode.INVALID_ARGUMENT):
        _modify(sanity, volume, FAKE_KEY)


@pytest.mark.parametrize("parameters", [MUTABLE, {}], ids=["given", "empty"])
@spec("ModifyVolume [Controller Server] should modify a volume created without a volume attribute class")
def test_modify(sanity: Sanity, parameters: dict[str, str]) -> None:
    _modify(sanity, sanity.new_volume("sanity-modify-volume"), parameters)


@spec("ModifyVolume [Controller Server] should modify a volume created with a volume attribute class")
def test_modify_what_was_created_with_parameters(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-modify-volume", mutable_parameters=MUTABLE)
    _modify(sanity, volume, MUTABLE)
    _modify(sanity, volume, {"compression": "lz4", "sync": "always"})


@spec(
    "ModifyVolume [Controller Server] should fail to modify a volume created with a volume attribute class if new"
    " mutable parameters are not supported by volume"
)
def test_modify_what_was_created_with_parameters_to_unknown_ones(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-modify-volume", mutable_parameters=MUTABLE)
    with refused(StatusCode.INVALID_ARGUMENT):
        _modify(sanity, volume, FAKE_KEY)
