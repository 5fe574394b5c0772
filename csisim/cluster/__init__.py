"""The composition root: NAS, driver, nodes and endpoints put together, started and stopped in order."""

from csisim.cluster.composition import Cluster
from csisim.cluster.settings import ClusterError, ClusterSettings, EmbeddedNas, Mode
from csisim.cluster.state_dir import StateDirError
from csisim.endpoint import Endpoint, parse_endpoint

__all__ = [
    "Cluster",
    "ClusterError",
    "ClusterSettings",
    "EmbeddedNas",
    "Endpoint",
    "Mode",
    "StateDirError",
    "parse_endpoint",
]
