"""What an operator can set about the driver; plain data, read by every service."""

from dataclasses import dataclass

from csisim import __version__

# Domain notation as the spec asks; csi-sanity also wants a letter first and last.
DEFAULT_DRIVER_NAME = "csi.csisim.dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverConfig:
    """Settings of one driver instance.

    Attributes:
        driver_name: as in the CSIDriver object; at most 63 characters, a letter first and last.
        version: vendor_version of GetPluginInfo.
        root_dataset: all volumes are direct children of this dataset; it is created when missing.
        data_host: address of the NAS that nodes mount from.
        zone: topology segment value that this NAS and its nodes share.
        known_nodes: node ids that ControllerPublishVolume accepts; None accepts every valid id, for a controller
            that runs apart from its nodes.
        max_volumes_per_node: attach limit; 0 for none.
        volume_health: advertise the alpha health capabilities of CSI 1.13.
        device_timeout_s: how long a node waits for a block device to appear.
    """

    driver_name: str = DEFAULT_DRIVER_NAME
    version: str = __version__
    root_dataset: str = "tank/csi"
    data_host: str = "127.0.0.1"
    zone: str = "default"
    known_nodes: frozenset[str] | None = None
    max_volumes_per_node: int = 0
    volume_health: bool = False
    device_timeout_s: float = 60.0

    @property
    def pool(self) -> str:
        """The pool that holds the root dataset."""
        return self.root_dataset.partition("/")[0]

    @property
    def zone_key(self) -> str:
        """The topology segment key."""
        return f"topology.{self.driver_name}/zone"
