"""Identity service."""

import re

from csisim.pb import csi_pb2 as pb
from tests.support.rig import CONFIG


async def test_the_name_is_in_domain_notation_with_a_letter_at_both_ends(rig):
    info = await rig.rpc(pb.GetPluginInfoRequest())

    assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9.-]{0,61}[a-zA-Z]", info.name)
    assert info.vendor_version == CONFIG.version


async def test_capabilities_are_told(rig):
    answer = await rig.rpc(pb.GetPluginCapabilitiesRequest())
    services = {each.service.type for each in answer.capabilities if each.HasField("service")}
    service = pb.PluginCapability.Service

    assert services == {
        service.CONTROLLER_SERVICE,
        service.VOLUME_ACCESSIBILITY_CONSTRAINTS,
        service.GROUP_CONTROLLER_SERVICE,
        service.SNAPSHOT_METADATA_SERVICE,
    }


async def test_ready_follows_the_nas(rig):
    assert (await rig.rpc(pb.ProbeRequest())).ready.value

    await rig.client.close()
    assert not (await rig.rpc(pb.ProbeRequest())).ready.value
