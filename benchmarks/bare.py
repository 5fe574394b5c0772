"""The yardstick: a grpc.aio server that answers three RPCs from a dict, and does nothing else.

Usage: python -m benchmarks.bare --endpoint unix:///path/to/bare.sock [--volumes N]
"""

import argparse
import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import uvloop
from google.protobuf.message import Message

from csisim.pb import csi_pb2

Handler = Callable[[Any, Any], Awaitable[Message]]


class Volumes:
    """What the three handlers share. Volume ids are the names."""

    def __init__(self, count: int = 0) -> None:
        self._volumes: dict[str, csi_pb2.Volume] = {}
        for index in range(count):
            self._add(f"present-{index:06}", 1 << 30)

    def _add(self, name: str, capacity_bytes: int) -> csi_pb2.Volume:
        volume = csi_pb2.Volume(volume_id=name, capacity_bytes=capacity_bytes)
        self._volumes[name] = volume
        return volume

    async def create(self, request: csi_pb2.CreateVolumeRequest, _: object) -> csi_pb2.CreateVolumeResponse:
        """A volume of the size asked for, or the one that is there."""
        volume = self._volumes.get(request.name) or self._add(request.name, request.capacity_range.required_bytes)
        return csi_pb2.CreateVolumeResponse(volume=volume)

    async def delete(self, request: csi_pb2.DeleteVolumeRequest, _: object) -> csi_pb2.DeleteVolumeResponse:
        """Gone, whether it was there or not."""
        self._volumes.pop(request.volume_id, None)
        return csi_pb2.DeleteVolumeResponse()

    async def list(self, request: csi_pb2.ListVolumesRequest, _: object) -> csi_pb2.ListVolumesResponse:
        """The first page only: that is all that is measured here."""
        page = itertools.islice(self._volumes.values(), request.max_entries or None)
        entries = [csi_pb2.ListVolumesResponse.Entry(volume=volume) for volume in page]
        return csi_pb2.ListVolumesResponse(entries=entries)


def handlers(volumes: Volumes) -> grpc.GenericRpcHandler:
    """The RPCs as csi.v1.Controller, so that the generated stub calls them."""
    calls: dict[str, tuple[Handler, type[Message], type[Message]]] = {
        "CreateVolume": (volumes.create, csi_pb2.CreateVolumeRequest, csi_pb2.CreateVolumeResponse),
        "DeleteVolume": (volumes.delete, csi_pb2.DeleteVolumeRequest, csi_pb2.DeleteVolumeResponse),
        "ListVolumes": (volumes.list, csi_pb2.ListVolumesRequest, csi_pb2.ListVolumesResponse),
    }
    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            handler, request_deserializer=request.FromString, response_serializer=response.SerializeToString
        )
        for name, (handler, request, response) in calls.items()
    }
    return grpc.method_handlers_generic_handler("csi.v1.Controller", methods)


async def serve(endpoint: str, volumes: Volumes) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([handlers(volumes)])
    server.add_insecure_port(endpoint)
    await server.start()
    await stop.wait()
    await server.stop(grace=1.0)


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--volumes", type=int, default=0, help="how many volumes are there from the start")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(arguments.endpoint, Volumes(arguments.volumes)))


if __name__ == "__main__":
    main()
