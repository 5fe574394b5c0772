"""The life cycle in parts, so that a fault in one part costs no run of the others."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from csisim.co.plans import GIB, VolumePlan
from csisim.sweep.steps import Steps
from csisim.sweep.world import NODE

Story = Callable[[Steps, VolumePlan], Awaitable[None]]

SNAPSHOT: Final = "snap-1"
GROUP: Final = "group-1"
NAMES: Final = ("pvc-1", "pvc-2", "pvc-3")
"""Every volume of a story has one of these names, so that each run meets what the one before it left."""


async def mount(steps: Steps, plan: VolumePlan) -> None:
    """A volume's whole life on a node, growing in use."""
    await steps.create(plan)
    await steps.mount(plan)
    await steps.write(plan, 0)
    await steps.look(plan, mounted=True)
    await steps.expand(plan)
    await steps.unmount(plan)
    await steps.check_content(plan, 0)
    await steps.delete(plan)


async def block(steps: Steps, plan: VolumePlan) -> None:
    """The same as a raw device, with a snapshot whose allocated blocks are asked for."""
    raw = replace(plan, block=True, fs_type="")
    await steps.create(raw)
    await steps.mount(raw)
    await steps.write(raw, 0)
    await steps.snapshot(SNAPSHOT, raw)
    await steps.look_at_blocks(SNAPSHOT, 1 << 20)
    await steps.expand(raw)
    await steps.unmount(raw)
    await steps.check_content(raw, 0)
    await steps.delete_snapshot(SNAPSHOT)
    await steps.delete(raw)


async def copies(steps: Steps, plan: VolumePlan) -> None:
    """A volume is restored from a snapshot, another cloned; the clone outlives what it came from."""
    restored = replace(plan, name=NAMES[1], source_snapshot=SNAPSHOT, size_bytes=2 * GIB)
    clone = replace(plan, name=NAMES[2], source_volume=plan.name)
    await steps.create(plan)
    await steps.mount(plan)
    await steps.write(plan, 0)
    await steps.snapshot(SNAPSHOT, plan)
    await steps.write(plan, 1)
    await steps.unmount(plan)
    await steps.create(restored)
    await steps.create(clone)
    await steps.look_at_snapshots(SNAPSHOT)
    await steps.check_content(restored, 0)
    await steps.mount(restored)
    await steps.unmount(restored)
    await steps.check_content(restored, 0)
    await steps.delete(restored)
    await steps.delete_snapshot(SNAPSHOT)
    await steps.check_content(plan, 0, 1)
    await steps.delete(plan)
    await steps.check_content(clone, 0, 1)
    await steps.delete(clone)


async def group(steps: Steps, plan: VolumePlan) -> None:
    """Two of three volumes are snapshotted at one instant, and one restored from its member."""
    second = replace(plan, name=NAMES[1])
    restored = replace(plan, name=NAMES[2], source_snapshot=f"{GROUP} of {NAMES[1]}")
    await steps.create(plan)
    await steps.create(second)
    await steps.write(second, 0)
    made = await steps.snapshot_group(GROUP, plan, second)
    await steps.write(second, 1)
    await steps.create(restored)
    await steps.check_content(restored, 0)
    await steps.delete(restored)
    await steps.delete_group(made)
    await steps.check_content(second, 0, 1)
    await steps.delete(second)
    await steps.delete(plan)


STORIES: Final[Mapping[str, Story]] = {"mount": mount, "block": block, "copies": copies, "group": group}


def stories_of(protocol: str) -> tuple[str, ...]:
    """The stories that volumes of a protocol can tell."""
    return tuple(name for name in STORIES if name != "block" or protocol != "nfs")


def first_plan(protocol: str) -> VolumePlan:
    """The volume that a story begins with."""
    return VolumePlan(NAMES[0], protocol, (NODE,), fs_type="" if protocol == "nfs" else "ext4")
