"""Runs that take little, and runs that fail."""

from typing import Any, Final

TINY: Final[dict[str, Any]] = {
    "workload": "clients", "clients": 1, "operations": 1, "volumes": 1, "nodes": 1, "faults": ("none",),
}  # fmt: skip
"""About 20 ms each."""

BROKEN: Final[dict[str, Any]] = {
    "workload": "clients", "clients": 2, "operations": 8, "volumes": 1, "nodes": 1, "protocols": ("nfs",),
    "faults": ("none",), "mutant": "M-NOLOCK",
}  # fmt: skip
"""Most of them expand a volume, and do so without its lock."""

UNLOCKED: Final = "races: ControllerExpandVolume(#) # wrote csisim:capacity_bytes of dataset # without any lock"
