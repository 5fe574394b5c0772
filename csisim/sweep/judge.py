"""What must be true at the end of a case; each violation as a sentence."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import Message
from grpc import StatusCode

from csisim.co.callers import PENDING, Attempt
from csisim.pb import csi_pb2 as csi
from csisim.sweep.cases import Case
from csisim.sweep.stories import GROUP, NAMES, SNAPSHOT, first_plan
from csisim.sweep.world import World

_CALM_S: Final = 2.0
_AT_ONCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case ended.

    Attributes:
        case: which one.
        fired: whether the fault happened; if not, the story has no such passing.
        violations: what did not hold.
        calls: how many CSI calls it took.
        duration_s: loop time.
    """

    case: Case
    fired: bool
    violations: tuple[str, ...]
    calls: int
    duration_s: float


def wrong_codes(case: Case, attempts: Sequence[Attempt]) -> list[str]:
    """Answers that callers would misunderstand: the fault passes, so each must say that a repeat may help."""
    right = {code.name for code in PENDING} | case.final_codes
    return [
        f"wrong code: {each.rpc}({each.subject}) answered {each.code.name}: {each.message}"
        for each in attempts
        if each.code is not StatusCode.OK and each.code.name not in right
    ]


async def end_state(world: World, protocol: str) -> list[str]:
    """What is left, held or in the way once a story has been told. Makes calls of its own, without faults."""
    found = list(world.watch.findings)
    await world.calm(_CALM_S)
    if locks := world.held():
        found.append(f"locks held: {', '.join(locks)}")
    found += [f"left: {what}" for what in await world.leftovers()]
    if not found:
        found += await _in_the_way(world, protocol)
        found += [f"left after the next calls: {what}" for what in await world.leftovers()]
    return found


async def _in_the_way(world: World, protocol: str) -> list[str]:
    """Whether the next calls on the same names succeed at once."""
    controller, groups = world.caller.controller, world.caller.group_controller
    plan = first_plan(protocol)
    found: list[str] = []

    async def at_once(what: str, method: Callable[..., Awaitable[Any]], request: Message) -> None:
        try:
            await method(request, timeout=_AT_ONCE_S)
        except grpc.aio.AioRpcError as error:
            found.append(f"{what} did not succeed at once: {error.code().name}: {error.details()}")

    for name in NAMES:
        await at_once(f"a second delete of {name}", controller.DeleteVolume, csi.DeleteVolumeRequest(volume_id=name))
    snapshot = csi.DeleteSnapshotRequest(snapshot_id=f"{NAMES[0]}@{SNAPSHOT}")
    await at_once(f"a second delete of {SNAPSHOT}", controller.DeleteSnapshot, snapshot)
    group = csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id=GROUP)
    await at_once(f"a second delete of {GROUP}", groups.DeleteVolumeGroupSnapshot, group)
    await at_once(f"the next create of {plan.name}", controller.CreateVolume, plan.create_request())
    again = csi.DeleteVolumeRequest(volume_id=plan.name)
    await at_once(f"the next delete of {plan.name}", controller.DeleteVolume, again)
    return found
