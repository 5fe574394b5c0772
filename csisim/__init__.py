"""A CSI driver that you can break on purpose, and a way to prove what survives."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("csisim")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0+source"
