"""What is beneath the stack and nothing else: gRPC and one websocket, with an echo in place of driver and NAS.

Every second call goes on over the websocket; those of the stack in `benchmarks.schedules` make more calls of the NAS:
0.6 each at 8 x 20, 1.3 at 3 x 5. So no driver and no NAS, however fast, would make a schedule of it cheaper than this.
"""

import asyncio
import itertools
import tempfile
from collections.abc import Callable
from typing import Any

import grpc
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.sim.grpc_seam import Exchange, SimChannel, SimGrpcServer

_TIMEOUT_S = 3600.0
# As driver and NAS have it, but for patience: some schedules put steps off for seconds.
_SOCKET: dict[str, Any] = {"compression": None, "open_timeout": None, "ping_interval": None, "close_timeout": None}
_CALL = '{"jsonrpc": "2.0", "id": "00000000-0000-0000-0000-000000000000", "method": "pool.dataset.query", "params": []}'


class _Asking(csi_pb2_grpc.ControllerServicer):
    """Makes no volumes."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[str]] = {}

    async def CreateVolume(  # noqa: N802 - the name of the RPC
        self, request: csi.CreateVolumeRequest, _context: object
    ) -> csi.CreateVolumeResponse:
        """See the CSI specification; here every second one waits for an echo."""
        number = next(self._numbers)
        if number % 2:
            waiting = self._waiting[f"{number}"] = asyncio.get_running_loop().create_future()
            await self._socket.send(f"{number} {_CALL}")
            await waiting
        return csi.CreateVolumeResponse(
            volume=csi.Volume(volume_id=request.name, capacity_bytes=request.capacity_range.required_bytes)
        )

    async def receive(self) -> None:
        """Take answers until the connection ends."""
        async for message in self._socket:
            assert isinstance(message, str)
            self._waiting.pop(message.partition(" ")[0]).set_result(message)


async def _echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def _client(controller: Any, number: int, operations: int) -> None:
    for operation in range(operations):
        request = csi.CreateVolumeRequest(
            name=f"pvc-{number}-{operation}",
            parameters={"protocol": "nfs"},
            capacity_range=csi.CapacityRange(required_bytes=1 << 30),
        )
        await controller.CreateVolume(request, timeout=_TIMEOUT_S)


async def _program(
    clients: int, operations: int, target: str, server: Callable[[], Any], channel: Callable[[str], Any]
) -> None:
    async with serve(_echo, "127.0.0.1", 0, **_SOCKET) as echo:
        port = next(iter(echo.sockets)).getsockname()[1]
        connecting = connect(f"ws://127.0.0.1:{port}", proxy=None, **_SOCKET)
        async with connecting as socket, asyncio.TaskGroup() as tasks:
            asking, serving = _Asking(socket), server()
            csi_pb2_grpc.add_ControllerServicer_to_server(asking, serving)
            serving.add_insecure_port(target)
            await serving.start()
            tasks.create_task(asking.receive())
            async with channel(target) as opened, asyncio.TaskGroup() as calling:
                controller: Any = csi_pb2_grpc.ControllerStub(opened)
                for number in range(clients):
                    calling.create_task(_client(controller, number, operations))
            await serving.stop(None)
            await socket.close()


async def simulated(clients: int, operations: int) -> None:
    """On the simulated network, in a loop that simulates."""
    exchange = Exchange()
    await _program(
        clients, operations, "unix:///simulated/seams.sock",
        lambda: SimGrpcServer(exchange), lambda target: SimChannel(target, exchange),
    )  # fmt: skip


async def real(clients: int, operations: int) -> None:
    """On a Unix socket and a TCP connection."""
    with tempfile.TemporaryDirectory(prefix="csisim-bench-") as directory:
        target = f"unix://{directory}/seams.sock"
        await _program(clients, operations, target, grpc.aio.server, grpc.aio.insecure_channel)
