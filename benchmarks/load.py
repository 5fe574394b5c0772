"""The load: CSI calls through the generated stub, in this process, which is none of those measured.

Time is the performance counter: uvloop's own clock moves in steps of a millisecond.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from time import perf_counter

from benchmarks.servers import Target
from csisim.pb import csi_pb2

GIB = 1 << 30
PAGE = 100
_CALL_TIMEOUT_S = 60.0
_WRITER = csi_pb2.VolumeCapability(
    mount=csi_pb2.VolumeCapability.MountVolume(),
    access_mode=csi_pb2.VolumeCapability.AccessMode(mode=csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_WRITER),
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """One round of CreateVolume followed by DeleteVolume.

    Attributes:
        per_s: completed pairs per second.
        cpu_s_per_rpc: CPU time of the servers per RPC, by role.
    """

    per_s: float
    cpu_s_per_rpc: dict[str, float]


async def create(target: Target, name: str) -> str:
    """Create one nfs volume of 1 GiB; returns its id. AioRpcError: the server refused, which ends the benchmark."""
    reply = await target.controller.CreateVolume(
        csi_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=csi_pb2.CapacityRange(required_bytes=GIB),
            volume_capabilities=[_WRITER],
            parameters={"protocol": "nfs"},
        ),
        timeout=_CALL_TIMEOUT_S,
    )
    return reply.volume.volume_id


async def delete(target: Target, volume_id: str) -> None:
    """Delete one volume."""
    await target.controller.DeleteVolume(csi_pb2.DeleteVolumeRequest(volume_id=volume_id), timeout=_CALL_TIMEOUT_S)


async def pairs(target: Target, concurrency: int, duration_s: float, prefix: str) -> Pairs:
    """Create and delete in `concurrency` lanes for `duration_s`; every lane finishes the pair it has begun."""
    before, begins = target.usage(), perf_counter()
    done = 0

    async def lane(number: int) -> None:
        nonlocal done
        turn = 0
        while perf_counter() - begins < duration_s:
            await delete(target, await create(target, f"{prefix}-{number}-{turn}"))
            turn += 1
            done += 1

    await together([lane(number) for number in range(concurrency)])
    elapsed_s, after = perf_counter() - begins, target.usage()
    cpu = {role: (after[role].cpu_s - before[role].cpu_s) / (2 * done) for role in after}
    return Pairs(done / elapsed_s, cpu)


async def populate(
    target: Target, first: int, last: int, report: Callable[[int, float], None], concurrency: int = 32
) -> float:
    """Create volumes `first` to `last` - 1 through the driver itself; returns volumes per second.

    `report` gets the number created so far and the seconds since the start, a few times a second at most.
    """
    begins = reported = perf_counter()
    numbers = iter(range(first, last))
    done = 0

    async def lane() -> None:
        nonlocal done, reported
        for number in numbers:
            await create(target, f"present-{number:06}")
            done += 1
            if perf_counter() - reported > 1.0:
                reported = perf_counter()
                report(done, reported - begins)

    await together([lane() for _ in range(concurrency)])
    return (last - first) / (perf_counter() - begins)


async def create_latencies(target: Target, count: int, prefix: str) -> list[float]:
    """Seconds per CreateVolume, one after the other; the volumes are deleted afterwards, outside the measurement."""
    taken, made = [], []
    for index in range(count):
        begins = perf_counter()
        made.append(await create(target, f"{prefix}-{index}"))
        taken.append(perf_counter() - begins)
    for volume_id in made:
        await delete(target, volume_id)
    return taken


async def page_latencies(target: Target, count: int, token: str = "") -> list[float]:
    """Seconds per ListVolumes of one page of 100, starting at `token`, over and over."""
    taken = []
    for _ in range(count):
        begins = perf_counter()
        await page(target, token)
        taken.append(perf_counter() - begins)
    return taken


async def deep_token(target: Target) -> str:
    """Where the last full page begins, found by walking them all; "" where there is but one."""
    token, here = "", await page(target, "")
    while here.next_token:
        follow = await page(target, here.next_token)
        if len(follow.entries) < PAGE:
            break
        token, here = here.next_token, follow
    return token


async def page(target: Target, token: str) -> csi_pb2.ListVolumesResponse:
    """One page of 100 entries."""
    request = csi_pb2.ListVolumesRequest(max_entries=PAGE, starting_token=token)
    return await target.controller.ListVolumes(request, timeout=_CALL_TIMEOUT_S)


async def seconds(call: Awaitable[object]) -> float:
    """How long one call takes."""
    begins = perf_counter()
    await call
    return perf_counter() - begins


async def together(lanes: Iterable[Coroutine[None, None, None]]) -> None:
    """Run all to their end; the first that fails ends the others."""
    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(lane)
