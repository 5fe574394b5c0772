"""A driver that answers as it is told, on the gRPC seam, and an orchestrator for it: all in virtual time."""

import asyncio
import functools
import random
from contextlib import asynccontextmanager

from google.protobuf.wrappers_pb2 import BoolValue
from grpc import StatusCode

from csisim.co.node_side import NodeSide
from csisim.co.objects import PersistentVolumeClaim, Pod, PodVolume, StorageClass, VolumeSnapshotClass
from csisim.co.orchestrator import Orchestrator
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.pb import csi_pb2_grpc
from csisim.secrets import stripped
from csisim.sim.disk import MemoryDisk
from csisim.sim.grpc_seam import Exchange, SimChannel, SimGrpcServer
from csisim.sim.run import simulate

GIB = 1 << 30
NAME = "csi.example.org"
CONTROLLER = tuple(
    csi.ControllerServiceCapability.RPC.Type.Value(name)
    for name in (
        "CREATE_DELETE_VOLUME", "PUBLISH_UNPUBLISH_VOLUME", "CREATE_DELETE_SNAPSHOT", "CLONE_VOLUME", "EXPAND_VOLUME",
        "MODIFY_VOLUME",
    )
)  # fmt: skip
NODE = tuple(csi.NodeServiceCapability.RPC.Type.Value(name) for name in ("STAGE_UNSTAGE_VOLUME", "EXPAND_VOLUME"))


def simulated(test):
    """Run a coroutine test in virtual time; it must leave no task behind."""

    @functools.wraps(test)
    def run(**arguments):
        outcome = simulate(lambda: test(**arguments))
        if outcome.error is not None:
            raise outcome.error
        assert outcome.leaked == ()

    return run


class Files:
    """What pods see: a dictionary."""

    def __init__(self):
        self.content = {}
        self.error = None

    def _fail(self):
        if self.error is not None:
            raise OSError(self.error, "as told")

    async def write(self, target, name, content):
        self._fail()
        self.content[target, name] = content

    async def read(self, target, name):
        self._fail()
        return self.content.get((target, name))

    async def names(self, target):
        return [name for where, name in self.content if where == target]


class Driver:
    """Says OK, unless `codes` has codes for the method: those come first, one after the other.

    Attributes:
        calls: (time, method, request) of every call but those about capabilities.
        lets_go: methods whose answers wait until the event of that name is set.
        capacity: of new volumes, instead of what is asked for.
        ready_after: snapshots are ready from this call of CreateSnapshot on.
        not_ready: so many probes say that the driver is still starting.
    """

    def __init__(self, *, controller=CONTROLLER, node=NODE, topology=False, count=0):
        self.controller_types = controller
        self.node_types = node
        self.topology = topology
        self.count = count
        self.codes = {}
        self.lets_go = {}
        self.calls = []
        self.sizes = {}
        self.capacity = None
        self.ready_after = 0
        self.not_ready = 0

    def methods(self, *names):
        return [method for _, method, _ in self.calls if not names or method in names]

    def times(self, name):
        return [round(at_s, 3) for at_s, method, _ in self.calls if method == name]

    def requests(self, name):
        return [request for _, method, request in self.calls if method == name]

    async def called(self, method, request, context):
        self.calls.append((asyncio.get_running_loop().time(), method, request))
        if method in self.lets_go:
            await self.lets_go[method].wait()
        codes = self.codes.get(method, [])
        if codes:
            code = codes.pop(0)
            if code is not StatusCode.OK:
                await context.abort(code, "as told")


class Identity(csi_pb2_grpc.IdentityServicer):
    def __init__(self, driver):
        self.driver = driver

    async def Probe(self, request, context):  # noqa: N802
        self.driver.not_ready -= 1
        return csi.ProbeResponse(ready=BoolValue(value=self.driver.not_ready < 0))

    async def GetPluginInfo(self, request, context):  # noqa: N802
        return csi.GetPluginInfoResponse(name=NAME)

    async def GetPluginCapabilities(self, request, context):  # noqa: N802
        services = ["CONTROLLER_SERVICE", *(["VOLUME_ACCESSIBILITY_CONSTRAINTS"] if self.driver.topology else [])]
        service = csi.PluginCapability.Service
        return csi.GetPluginCapabilitiesResponse(
            capabilities=[csi.PluginCapability(service=service(type=each)) for each in services]
        )


class Controller(csi_pb2_grpc.ControllerServicer):
    def __init__(self, driver):
        self.driver = driver

    async def ControllerGetCapabilities(self, request, context):  # noqa: N802
        rpc = csi.ControllerServiceCapability.RPC
        return csi.ControllerGetCapabilitiesResponse(
            capabilities=[csi.ControllerServiceCapability(rpc=rpc(type=each)) for each in self.driver.controller_types]
        )

    async def CreateVolume(self, request, context):  # noqa: N802
        await self.driver.called("CreateVolume", request, context)
        size = self.driver.capacity or request.capacity_range.required_bytes
        self.driver.sizes[request.name] = size
        source = request.volume_content_source if request.HasField("volume_content_source") else None
        volume = csi.Volume(
            volume_id=request.name, capacity_bytes=size, content_source=source, volume_context={"at": "home"}
        )
        return csi.CreateVolumeResponse(volume=volume)

    async def DeleteVolume(self, request, context):  # noqa: N802
        await self.driver.called("DeleteVolume", request, context)
        return csi.DeleteVolumeResponse()

    async def ControllerPublishVolume(self, request, context):  # noqa: N802
        await self.driver.called("ControllerPublishVolume", request, context)
        return csi.ControllerPublishVolumeResponse(publish_context={"door": request.node_id})

    async def ControllerUnpublishVolume(self, request, context):  # noqa: N802
        await self.driver.called("ControllerUnpublishVolume", request, context)
        return csi.ControllerUnpublishVolumeResponse()

    async def ListVolumes(self, request, context):  # noqa: N802
        await self.driver.called("ListVolumes", request, context)
        entry = csi.ListVolumesResponse.Entry
        return csi.ListVolumesResponse(entries=[entry(volume=csi.Volume(volume_id=each)) for each in self.driver.sizes])

    async def ControllerExpandVolume(self, request, context):  # noqa: N802
        await self.driver.called("ControllerExpandVolume", request, context)
        size = request.capacity_range.required_bytes
        return csi.ControllerExpandVolumeResponse(capacity_bytes=size, node_expansion_required=True)

    async def ControllerModifyVolume(self, request, context):  # noqa: N802
        await self.driver.called("ControllerModifyVolume", request, context)
        return csi.ControllerModifyVolumeResponse()

    async def CreateSnapshot(self, request, context):  # noqa: N802
        await self.driver.called("CreateSnapshot", request, context)
        self.driver.ready_after -= 1
        snapshot = csi.Snapshot(
            snapshot_id=request.name, size_bytes=GIB, source_volume_id=request.source_volume_id,
            ready_to_use=self.driver.ready_after < 0,
        )  # fmt: skip
        return csi.CreateSnapshotResponse(snapshot=snapshot)

    async def DeleteSnapshot(self, request, context):  # noqa: N802
        await self.driver.called("DeleteSnapshot", request, context)
        return csi.DeleteSnapshotResponse()


class Node(csi_pb2_grpc.NodeServicer):
    def __init__(self, driver, name, disk):
        self.driver = driver
        self.name = name
        self.disk = disk

    async def NodeGetInfo(self, request, context):  # noqa: N802
        return csi.NodeGetInfoResponse(
            node_id=self.name, max_volumes_per_node=self.driver.count,
            accessible_topology=csi.Topology(segments={"zone": self.name}) if self.driver.topology else None,
        )  # fmt: skip

    async def NodeGetCapabilities(self, request, context):  # noqa: N802
        rpc = csi.NodeServiceCapability.RPC
        return csi.NodeGetCapabilitiesResponse(
            capabilities=[csi.NodeServiceCapability(rpc=rpc(type=each)) for each in self.driver.node_types]
        )

    async def NodeStageVolume(self, request, context):  # noqa: N802
        await self.driver.called("NodeStageVolume", request, context)
        return csi.NodeStageVolumeResponse()

    async def NodeUnstageVolume(self, request, context):  # noqa: N802
        await self.driver.called("NodeUnstageVolume", request, context)
        return csi.NodeUnstageVolumeResponse()

    async def NodePublishVolume(self, request, context):  # noqa: N802
        await self.driver.called("NodePublishVolume", request, context)
        if request.volume_capability.HasField("block"):
            self.disk.make_file(request.target_path)
        else:
            self.disk.make_dir(request.target_path)
        return csi.NodePublishVolumeResponse()

    async def NodeUnpublishVolume(self, request, context):  # noqa: N802
        await self.driver.called("NodeUnpublishVolume", request, context)
        self.disk.remove(request.target_path)
        return csi.NodeUnpublishVolumeResponse()

    async def NodeExpandVolume(self, request, context):  # noqa: N802
        await self.driver.called("NodeExpandVolume", request, context)
        return csi.NodeExpandVolumeResponse(capacity_bytes=request.capacity_range.required_bytes)

    async def NodeGetVolumeStats(self, request, context):  # noqa: N802
        await self.driver.called("NodeGetVolumeStats", request, context)
        return csi.NodeGetVolumeStatsResponse()


class Channels:
    def __init__(self, exchange):
        self.exchange = exchange

    def channel(self, node_id):
        return SimChannel(f"unix:///{node_id or 'controller'}.sock", self.exchange)


@asynccontextmanager
async def kubernetes(driver=None, nodes=("n1", "n2"), **options):
    """An orchestrator whose driver is scripted, with classes `standard` (the default), `late` and `snaps`."""
    driver = driver or Driver()
    exchange = Exchange()
    servers, sides = [], {}
    for name in ("controller", *nodes):
        server = SimGrpcServer(exchange)
        csi_pb2_grpc.add_IdentityServicer_to_server(Identity(driver), server)
        if name == "controller":
            csi_pb2_grpc.add_ControllerServicer_to_server(Controller(driver), server)
        else:
            disk = MemoryDisk()
            sides[name] = NodeSide(disk, Files(), "/var/lib/kubelet")
            csi_pb2_grpc.add_NodeServicer_to_server(Node(driver, name, disk), server)
        server.add_insecure_port(f"unix:///{name}.sock")
        await server.start()
        servers.append(server)
    history = History(asyncio.get_running_loop().time, limit=None)
    history.describe = stripped
    options = {"history": history, **options}
    async with Orchestrator(Channels(exchange), sides, rng=random.Random(1), **options) as co:
        co.sides, co.history = sides, history
        co.apply([
            StorageClass(name="standard", provisioner=NAME, is_default=True, allow_volume_expansion=True),
            StorageClass(name="late", provisioner=NAME, volume_binding_mode="WaitForFirstConsumer"),
            VolumeSnapshotClass(name="snaps", driver=NAME, is_default=True),
        ])  # fmt: skip
        yield co
    for server in servers:
        await server.stop(None)


def pod(name, *claims, **more):
    return Pod(name=name, volumes=tuple(PodVolume(claim, claim) for claim in claims), **more)


def claim(name, **more):
    return PersistentVolumeClaim(name=name, **{"storage": GIB, **more})


def events(co, kind):
    return [event.to_json() for event in co.history.since() if event.kind == kind]
