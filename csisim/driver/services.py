"""How the services of one driver are put together over one NAS client."""

from csisim.driver.config import DriverConfig
from csisim.driver.controller import ControllerService
from csisim.driver.exports import exports
from csisim.driver.group_controller import GroupControllerService
from csisim.driver.identity import IdentityService
from csisim.driver.inflight import OperationLocks
from csisim.driver.server import Services
from csisim.driver.snapshot_metadata import SnapshotMetadataService
from csisim.driver.volumes import Volumes
from csisim.pb import csi_pb2_grpc
from csisim.truenas.client import NasClient
from csisim.truenas.storage import Storage


def build_volumes(config: DriverConfig, nas: NasClient, locks: OperationLocks) -> Volumes:
    """The volumes of one NAS; `locks` may be shared with nothing that does not use the same volume ids."""
    return Volumes(config, Storage(nas), exports(nas, config.data_host), locks)


def build_services(
    config: DriverConfig, nas: NasClient, volumes: Volumes | None, node: csi_pb2_grpc.NodeServicer | None
) -> Services:
    """The services of one socket: controller services where `volumes` is given, node services where `node` is."""
    return Services(
        identity=IdentityService(config, nas, controller=volumes is not None),
        controller=ControllerService(volumes) if volumes else None,
        group_controller=GroupControllerService(volumes) if volumes else None,
        snapshot_metadata=SnapshotMetadataService(volumes) if volumes else None,
        node=node,
    )
