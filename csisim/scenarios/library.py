"""The scenarios by name, in the order of areas: nodes, controller, deletion, attachment, snapshots, growth, NAS."""

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from csisim.scenarios import (
    attach,
    confidential,
    controller,
    delete,
    expand,
    half_made,
    node,
    node_devices,
    node_unmount,
    snapshot,
    websocket,
)
from csisim.scenarios.scenario import Scenario

_AREAS: Final = "NCDASEWX"
_MODULES: Final = (
    node, node_unmount, node_devices, controller, half_made, delete, attach, snapshot, expand, websocket, confidential,
)  # fmt: skip


def ordered(scenarios: Iterable[Scenario]) -> Mapping[str, Scenario]:
    """By name.

    Raises:
        ValueError: two have the same name, or one has a name of no area.
    """
    found: dict[str, Scenario] = {}
    for each in sorted(scenarios, key=lambda each: (_AREAS.index(each.name[:1]), each.name)):
        if each.name in found:
            raise ValueError(f"two scenarios are named {each.name}")
        found[each.name] = each
    return MappingProxyType(found)


SCENARIOS: Final = ordered(each for module in _MODULES for each in module.SCENARIOS)
"""All of them."""


def find(name: str) -> Scenario:
    """One of them.

    Raises:
        ValueError: there is none of that name; names the nearest.
    """
    if name in SCENARIOS:
        return SCENARIOS[name]
    near = difflib.get_close_matches(name.upper()[:80], SCENARIOS, n=3, cutoff=0.5)
    there = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(SCENARIOS)}"
    raise ValueError(f"{name[:80]!r} is no scenario: {there}")
