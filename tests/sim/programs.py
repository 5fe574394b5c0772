"""Small programs for the simulation: one that uses everything at once, and some with a bug each.

The bugs are those of shared state in asyncio: none is in a line, each is in who runs when.
"""

import asyncio
import os
import random
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from csisim.pb import csi_pb2, csi_pb2_grpc
from csisim.sim import strategies
from csisim.sim.errors import Deadlock
from csisim.sim.grpc_seam import Exchange, SimChannel, SimGrpcServer
from csisim.sim.lanes import lane
from csisim.sim.run import Outcome, simulate

Program = Callable[[], Coroutine[Any, Any, Any]]


class Found(AssertionError):
    """The planted bug has shown."""


# Everything at once


class Volumes(csi_pb2_grpc.ControllerServicer, csi_pb2_grpc.SnapshotMetadataServicer):
    """Asks the NAS, over a websocket, for every call."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def CreateVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        async with connect(self._url, proxy=None) as websocket:
            await websocket.send(request.name)
            pong = await websocket.ping()
            await pong
            return csi_pb2.CreateVolumeResponse(volume=csi_pb2.Volume(volume_id=str(await websocket.recv())))

    async def GetMetadataAllocated(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        for offset in range(3):
            await asyncio.sleep(0.001)
            yield csi_pb2.GetMetadataAllocatedResponse(block_metadata=[csi_pb2.BlockMetadata(byte_offset=offset)])


async def everything() -> list[str]:
    """TaskGroup, asyncio.wait, gather, queues, locks, unmodified websockets, gRPC calls and streams, entropy."""
    log: list[str] = []

    async def echo(websocket: Any) -> None:
        async for message in websocket:
            await websocket.send(f"{message}-{uuid.uuid4()}-{os.urandom(2).hex()}-{random.random()}")  # noqa: TID251

    server = await serve(echo, "localhost", 0)
    url = f"ws://localhost:{server.sockets[0].getsockname()[1]}"
    exchange = Exchange()
    grpc_server = SimGrpcServer(exchange)
    servicer = Volumes(url)
    csi_pb2_grpc.add_ControllerServicer_to_server(servicer, grpc_server)
    csi_pb2_grpc.add_SnapshotMetadataServicer_to_server(servicer, grpc_server)
    grpc_server.add_insecure_port("unix:///csi.sock")
    await grpc_server.start()
    channel = SimChannel("unix:/csi.sock", exchange)
    stub, metadata = csi_pb2_grpc.ControllerStub(channel), csi_pb2_grpc.SnapshotMetadataStub(channel)
    lock = asyncio.Lock()

    async def client(number: int) -> None:
        with lane(f"client {number}"):
            for turn in range(3):
                answer = await stub.CreateVolume(csi_pb2.CreateVolumeRequest(name=f"{number}.{turn}"), timeout=30)
                async with lock:
                    await asyncio.sleep(0)
                    log.append(answer.volume.volume_id)
            async for each in metadata.GetMetadataAllocated(csi_pb2.GetMetadataAllocatedRequest(snapshot_id="s")):
                log.append(f"{number}: {each.block_metadata[0].byte_offset}")  # noqa: PERF401 - as it comes

    async def cancelled(number: int) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            log.append(f"cancelled {number}")

    async def failing() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(cancelled(number))
            await asyncio.sleep(0.001)
            raise ValueError("over")

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(client(number))
        group.create_task(suppressed(failing))
    waiting = {asyncio.create_task(cancelled(number)) for number in range(9)}
    _, pending = await asyncio.wait(waiting, timeout=0.01)
    log.extend(task.get_name() for task in pending)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    await channel.close()
    await grpc_server.stop(1)
    server.close()
    await server.wait_closed()
    return log


async def suppressed(program: Program) -> None:
    try:
        await program()
    except* ValueError:
        pass


# Bugs


async def count_race() -> None:
    """A walk over a shared map that yields, while another task changes the map: a window within one instant."""
    volumes = {number: number for number in range(4)}

    async def count() -> int:
        found = 0
        try:
            for _ in volumes:
                found += 1
                await asyncio.sleep(0)
        except RuntimeError as error:
            raise Found(str(error)) from error
        return found

    async def change() -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        volumes[99] = 99

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        group.create_task(change())
        for _ in range(3):
            group.create_task(asyncio.sleep(0))
    assert counting.result() >= 4


def lost_wake_up(length: int) -> Program:
    """The worker notifies after `length` steps, and whoever begins to wait later waits for ever: a long odd order."""

    async def program() -> None:
        waiters: list[asyncio.Future[None]] = []

        async def work() -> None:
            for _ in range(length):
                await asyncio.sleep(0)
            for waiter in waiters:
                waiter.set_result(None)

        async def wait() -> None:
            await asyncio.sleep(0)
            waiters.append(asyncio.get_running_loop().create_future())
            await waiters[-1]

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(wait())

    return program


async def late_cache() -> None:
    """A ready task writes down what it knew: only one that is overtaken by time writes over something newer."""
    cache: dict[str, int] = {}
    version = 0
    lock = asyncio.Lock()

    async def change(after_s: float) -> None:
        nonlocal version
        await asyncio.sleep(after_s)
        async with lock:
            version += 1
            mine = version
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        cache["volume"] = mine

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(change(number * 0.01))
    if cache["volume"] != version:
        raise Found(f"{cache} after {version} changes")


async def stale_read() -> None:
    """State is read before a step that takes time and used after it, all behind one wire: latency decides."""
    size = 0

    async def serve_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal size
        while line := await reader.readline():
            if line.strip():
                size = int(line)
            writer.write(b"%d\n" % size)
        writer.close()

    server = await asyncio.start_server(serve_size, "127.0.0.1", 4711)

    async def grow(after_s: float) -> None:
        await asyncio.sleep(after_s)
        reader, writer = await asyncio.open_connection("127.0.0.1", 4711)
        writer.write(b"\n")
        known = int(await reader.readline())
        writer.write(b"%d\n" % (known + 1))
        await reader.readline()
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as group:
        group.create_task(grow(0.0))
        group.create_task(grow(0.002))
    server.close()
    await asyncio.sleep(1)
    if size != 2:
        raise Found(f"{size} after 2 clients")


def is_found(outcome: Outcome[Any]) -> bool:
    """Whether a run has shown its bug: by its own check, or by standing still."""
    error = outcome.error
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return isinstance(error, Found | Deadlock)


def hits(program: Program, strategy: strategies.Choose, seeds: int) -> int:
    """In how many of so many seeds a bug shows."""
    return sum(is_found(simulate(program, seed=seed, strategy=strategy)) for seed in range(seeds))


def hashes(seeds: int) -> list[str]:
    """One trace hash for each seed."""
    found = []
    for seed in range(seeds):
        outcome = simulate(everything, seed=seed, strategy=strategies.portfolio)
        if outcome.error is not None:
            raise outcome.error
        found.append(outcome.trace_hash)
    return found


if __name__ == "__main__":  # as another process sees it
    sys.stdout.write("\n".join(hashes(int(sys.argv[1]))))
