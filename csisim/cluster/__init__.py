"""The composition root: NAS, driver, nodes and endpoints put together, started and stopped in order."""

from csisim.cluster.composition import Cluster
from csisim.cluster.endpoint import Endpoint, parse_endpoint
from csisim.cluster.settings import ClusterError, ClusterSettings, EmbeddedNas, Mode
from csisim.cluster.sockets import EndpointError
from csisim.cluster.state_dir import StateDirError

__all__ = [
    "Cluster",
    "ClusterError",
    "ClusterSettings",
    "EmbeddedNas",
    "Endpoint",
    "EndpointError",
    "Mode",
    "StateDirError",
    "parse_endpoint",
]
