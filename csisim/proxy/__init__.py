"""A fault proxy in front of any CSI driver: what it does not change on purpose arrives as it was sent."""

from csisim.proxy.server import Proxy, ProxySettings
from csisim.proxy.upstream import UpstreamError

__all__ = ["Proxy", "ProxySettings", "UpstreamError"]
