"""Controller Service: capabilities of a volume, attaching and detaching, as csi-sanity asserts them."""

import pytest
from grpc import StatusCode

from csisim.pb import csi_pb2 as csi
from tests.support.rpc import refused
from tests.support.sanity import Sanity, unique

spec = pytest.mark.spec


@spec("Controller Service [Controller Server] ValidateVolumeCapabilities should fail when no volume id is provided")
def test_validate_without_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ValidateVolumeCapabilitiesRequest(volume_capabilities=[sanity.capability()]))


@spec(
    "Controller Service [Controller Server] ValidateVolumeCapabilities should fail when no volume capabilities are"
    " provided"
)
def test_validate_without_capabilities(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-controller-validate-nocaps")
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ValidateVolumeCapabilitiesRequest(volume_id=volume.volume_id))


@spec(
    "Controller Service [Controller Server] ValidateVolumeCapabilities should return appropriate values (no optional"
    " values added)"
)
def test_validate(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-controller-validate")
    request = csi.ValidateVolumeCapabilitiesRequest(
        volume_id=volume.volume_id, volume_capabilities=[sanity.capability()]
    )
    assert list(sanity.call(request).confirmed.volume_capabilities) == [sanity.capability()]


@spec(
    "Controller Service [Controller Server] ValidateVolumeCapabilities should fail when the requested volume does not"
    " exist"
)
def test_validate_an_unknown_volume(sanity: Sanity) -> None:
    request = csi.ValidateVolumeCapabilitiesRequest(
        volume_id=unique("sanity-controller-unknown"), volume_capabilities=[sanity.capability()]
    )
    with refused(StatusCode.NOT_FOUND):
        sanity.call(request)


@spec("Controller Service [Controller Server] ControllerPublishVolume should fail when no volume id is provided")
def test_attach_without_volume_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerPublishVolumeRequest())


@spec("Controller Service [Controller Server] ControllerPublishVolume should fail when no node id is provided")
def test_attach_without_node_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerPublishVolumeRequest(volume_id=unique("sanity-controller-unknown")))


@spec(
    "Controller Service [Controller Server] ControllerPublishVolume should fail when no volume capability is provided"
)
def test_attach_without_capability(sanity: Sanity) -> None:
    request = csi.ControllerPublishVolumeRequest(
        volume_id=unique("sanity-controller-unknown"), node_id=unique("sanity-controller-unknown")
    )
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(request)


@spec(
    "Controller Service [Controller Server] ControllerPublishVolume should fail when publishing more volumes than the"
    " node max attach limit"
)
def test_attach_limit(sanity: Sanity) -> None:
    info = sanity.node()
    assert info.max_volumes_per_node == 5
    for number in range(info.max_volumes_per_node):
        sanity.attach(sanity.new_volume(f"sanity-max-attach-limit-{number}"), info.node_id)
    one_more = sanity.new_volume("sanity-max-attach-limit-one-more")
    with refused(StatusCode.RESOURCE_EXHAUSTED):
        sanity.call(sanity.attach_request(one_more, info.node_id))


@spec("Controller Service [Controller Server] ControllerPublishVolume should fail when the volume does not exist")
def test_attach_an_unknown_volume(sanity: Sanity) -> None:
    request = csi.ControllerPublishVolumeRequest(
        volume_id=unique("sanity-unknown"), node_id=unique("sanity-unknown"), volume_capability=sanity.capability()
    )
    with refused(StatusCode.NOT_FOUND):
        sanity.call(request)


@spec("Controller Service [Controller Server] ControllerPublishVolume should fail when the node does not exist")
def test_attach_to_an_unknown_node(sanity: Sanity) -> None:
    volume = sanity.new_volume("sanity-controller-wrong-node")
    with refused(StatusCode.NOT_FOUND):
        sanity.call(sanity.attach_request(volume, unique("sanity-controller-unknown-node")))


@spec(
    "Controller Service [Controller Server] ControllerPublishVolume should fail when the volume is already published but"
    " is incompatible"
)
def test_attach_again_readonly(sanity: Sanity) -> None:
    node_id = sanity.node().node_id
    volume = sanity.new_volume("sanity-controller-published-incompatible")
    sanity.attach(volume, node_id)
    with refused(StatusCode.ALREADY_EXISTS):
        sanity.call(sanity.attach_request(volume, node_id, readonly=True))


def _lifecycle(sanity: Sanity, prefix: str, times: int) -> None:
    """As often as the suite: 10 registrations, so 9 detachments of a volume that is already gone."""
    info = sanity.node()
    volume = sanity.new_volume(prefix, accessibility_requirements=sanity.in_node_topology(info))
    contexts = [dict(sanity.attach(volume, info.node_id)) for _ in range(times)]
    assert all(context == contexts[0] for context in contexts)


@spec("Controller Service [Controller Server] volume lifecycle should work")
def test_volume_lifecycle(sanity: Sanity) -> None:
    _lifecycle(sanity, "sanity-controller-publish", 1)


@spec("Controller Service [Controller Server] volume lifecycle should be idempotent")
def test_volume_lifecycle_repeated(sanity: Sanity) -> None:
    _lifecycle(sanity, "sanity-controller-publish", 10)


@spec("Controller Service [Controller Server] ControllerUnpublishVolume should fail when no volume id is provided")
def test_detach_without_volume_id(sanity: Sanity) -> None:
    with refused(StatusCode.INVALID_ARGUMENT):
        sanity.call(csi.ControllerUnpublishVolumeRequest())
