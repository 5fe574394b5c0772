"""A CSI driver that you can break on purpose, and a way to prove what survives."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("csisim")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"


def discover(discover_system: bool = True) -> dict[str, Any]:
    """For `chaos discover csisim`, which looks here; see `csisim.chaostoolkit.discover`."""
    from csisim.chaostoolkit import discover as found  # noqa: PLC0415 - only the Chaos Toolkit asks

    return found(discover_system)
