"""Identity Service, as csi-sanity asserts it."""

import re

import pytest

from csisim.pb import csi_pb2 as csi
from tests.support.sanity import Sanity

spec = pytest.mark.spec


@spec("Identity Service GetPluginCapabilities should return appropriate capabilities")
def test_plugin_capabilities_are_known_ones(sanity: Sanity) -> None:
    capabilities = sanity.call(csi.GetPluginCapabilitiesRequest()).capabilities
    services = {item.service.type for item in capabilities if item.WhichOneof("type") == "service"}
    growth = {item.volume_expansion.type for item in capabilities if item.WhichOneof("type") == "volume_expansion"}
    assert all(item.WhichOneof("type") for item in capabilities)
    service = csi.PluginCapability.Service
    assert {service.CONTROLLER_SERVICE, service.VOLUME_ACCESSIBILITY_CONSTRAINTS} <= services
    assert services <= {
        service.CONTROLLER_SERVICE,
        service.VOLUME_ACCESSIBILITY_CONSTRAINTS,
        service.GROUP_CONTROLLER_SERVICE,
        service.SNAPSHOT_METADATA_SERVICE,
    }
    assert growth <= {csi.PluginCapability.VolumeExpansion.ONLINE, csi.PluginCapability.VolumeExpansion.OFFLINE}


@spec("Identity Service Probe should return appropriate information")
def test_probe_answers(sanity: Sanity) -> None:
    response = sanity.call(csi.ProbeRequest())
    assert not response.HasField("ready") or response.ready.value is True


@spec("Identity Service GetPluginInfo should return appropriate information")
def test_plugin_name_is_in_domain_notation(sanity: Sanity) -> None:
    info = sanity.call(csi.GetPluginInfoRequest())
    assert len(info.name.encode()) <= 63
    assert re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9_.]*[a-zA-Z]", info.name)
    assert info.vendor_version
