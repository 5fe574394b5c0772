"""Imports what a driver, a proxy and a NAS import, also what they import late; starts nothing."""

import importlib

from fake_truenas.methods import default_registry

for name in (
    "grpc.aio", "grpc_health.v1.health", "grpc_reflection.v1alpha.reflection", "uvloop", "csisim.cli.main",
    "csisim.cluster", "csisim.cluster.controlled", "csisim.control.server", "csisim.logs", "csisim.proxy",
    "fake_truenas.__main__", "tests.support.forked",
):  # fmt: skip
    importlib.import_module(name)
default_registry()
