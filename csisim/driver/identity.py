"""Identity service: who the plugin is, what it can do, whether it is well."""

from csisim.driver.config import DriverConfig
from csisim.driver.grpc_types import Context
from csisim.pb import csi_pb2 as pb
from csisim.pb import csi_pb2_grpc
from csisim.truenas.client import NasClient

_Service = pb.PluginCapability.Service
_Expansion = pb.PluginCapability.VolumeExpansion


class IdentityService(csi_pb2_grpc.IdentityServicer):
    """Served on every socket. `controller`: whether this process also serves the controller services."""

    def __init__(self, config: DriverConfig, nas: NasClient, *, controller: bool) -> None:
        self._config = config
        self._nas = nas
        self._controller = controller

    async def GetPluginInfo(self, request: pb.GetPluginInfoRequest, context: Context) -> pb.GetPluginInfoResponse:
        """Name and version."""
        return pb.GetPluginInfoResponse(name=self._config.driver_name, vendor_version=self._config.version)

    async def GetPluginCapabilities(
        self, request: pb.GetPluginCapabilitiesRequest, context: Context
    ) -> pb.GetPluginCapabilitiesResponse:
        """The same from every instance of one version, whatever mode it runs in, as the spec asks."""
        services = (
            _Service.CONTROLLER_SERVICE,
            _Service.VOLUME_ACCESSIBILITY_CONSTRAINTS,
            _Service.GROUP_CONTROLLER_SERVICE,
            _Service.SNAPSHOT_METADATA_SERVICE,
        )
        capabilities = [pb.PluginCapability(service=_Service(type=each)) for each in services]
        capabilities.append(pb.PluginCapability(volume_expansion=_Expansion(type=_Expansion.ONLINE)))
        return pb.GetPluginCapabilitiesResponse(capabilities=capabilities)

    async def Probe(self, request: pb.ProbeRequest, context: Context) -> pb.ProbeResponse:
        """Healthy always; ready while the NAS answers.

        A NAS that is away is no reason to restart the plugin, so it answers OK with ready=false. A node needs no NAS
        to unmount, so without a controller it is ready.
        """
        response = pb.ProbeResponse()
        response.ready.value = self._nas.connected or not self._controller
        return response
