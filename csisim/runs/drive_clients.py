"""The clients of `csisim run` on somebody else's driver: their calls, made to fit what it can do.

Each request gets the parameters, secrets, access mode and names of the plan on its way; what the driver does not say it
can do is not asked of it: steps that it does without succeed at once, everything else fails as UNIMPLEMENTED.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, cast

from google.protobuf.message import Message
from grpc import StatusCode

from csisim.co import volume_requests
from csisim.co.callers import Attempt, Caller, CallFailed, Role
from csisim.co.driver_info import Controller, Expansion, NodeRpc
from csisim.co.objects import ROX, RWX
from csisim.events import History
from csisim.pb import csi_pb2 as csi
from csisim.runs.clients import Client, Desk
from csisim.runs.drive_bed import DriveBed
from csisim.runs.drive_plan import DrivePlan
from csisim.runs.pace import HURRIED
from csisim.runs.plan import RunPlan
from csisim.runs.stranger import Stranger
from csisim.runs.testbed import Testbed
from csisim.runs.unwind import Unwinding
from csisim.sim.streams import Streams

Reply = TypeVar("Reply", bound=Message)

# Steps that a driver may do without: they count as done.
_DISPENSABLE: Final[Mapping[str, tuple[int, type[Message]]]] = {
    "ControllerPublishVolume": (Controller.PUBLISH_UNPUBLISH_VOLUME, csi.ControllerPublishVolumeResponse),
    "ControllerUnpublishVolume": (Controller.PUBLISH_UNPUBLISH_VOLUME, csi.ControllerUnpublishVolumeResponse),
    "ListVolumes": (Controller.LIST_VOLUMES, csi.ListVolumesResponse),
    "ListSnapshots": (Controller.LIST_SNAPSHOTS, csi.ListSnapshotsResponse),
    "NodeStageVolume": (NodeRpc.STAGE_UNSTAGE_VOLUME, csi.NodeStageVolumeResponse),
    "NodeUnstageVolume": (NodeRpc.STAGE_UNSTAGE_VOLUME, csi.NodeUnstageVolumeResponse),
}
_NEEDED: Final[Mapping[str, int]] = {
    "GetCapacity": Controller.GET_CAPACITY,
    "ControllerGetVolume": Controller.GET_VOLUME,
    "ControllerExpandVolume": Controller.EXPAND_VOLUME,
    "CreateSnapshot": Controller.CREATE_DELETE_SNAPSHOT,
    "DeleteSnapshot": Controller.CREATE_DELETE_SNAPSHOT,
    "GetSnapshot": Controller.GET_SNAPSHOT,
    "NodeGetVolumeStats": NodeRpc.GET_VOLUME_STATS,
    "NodeExpandVolume": NodeRpc.EXPAND_VOLUME,
}
# Its keys are not known.
_NEVER: Final = frozenset({"ControllerModifyVolume"})


class FittedCaller(Caller):
    """Calls what fits a driver.

    Args:
        bed: of the driver.
        node_id: whose socket; None for the controller's.
    """

    def __init__(self, bed: DriveBed, node_id: str | None) -> None:
        super().__init__(bed.wire.channel(node_id), bed.calls, bed.rng, history=bed.history)
        self._plan = bed.plan
        self._stranger = bed.stranger
        self._node_id = node_id

    async def once(self, role: Role, method: Callable[..., Awaitable[Reply]], request: Message, subject: str) -> Reply:
        """See `Caller.once`; an attempt that is not made is in no history."""
        name = type(request).__name__.removesuffix("Request")
        if name in _DISPENSABLE and not _can(self._stranger, name, _DISPENSABLE[name][0]):
            return cast("Reply", _DISPENSABLE[name][1]())
        if not self._is_for(name, request):
            now_s = asyncio.get_running_loop().time()
            raise CallFailed(Attempt(name, subject, now_s, now_s, StatusCode.UNIMPLEMENTED, "the driver has none"))
        who = role if self._node_id is None else replace(role, name=f"{role.name} {self._node_id}")
        return await super().once(who, method, fitted(request, self._plan, self._stranger), subject)

    def _is_for(self, name: str, request: Any) -> bool:
        known = self._stranger
        if name in _NEVER or (name in _NEEDED and not _can(known, name, _NEEDED[name])):
            return False
        if name == "ControllerExpandVolume":
            return Expansion.ONLINE in known.info.expansion or Expansion.OFFLINE not in known.info.expansion
        if name == "CreateVolume" and request.HasField("volume_content_source"):
            clone = request.volume_content_source.HasField("volume")
            return known.can(Controller.CLONE_VOLUME if clone else Controller.CREATE_DELETE_SNAPSHOT)
        return True


def _can(stranger: Stranger, name: str, capability: int) -> bool:
    return capability in (stranger.info.node if name.startswith("Node") else stranger.info.controller)


def fitted(request: Any, plan: DrivePlan, stranger: Stranger) -> Any:
    """The request as the plan wants it, and as the driver takes it."""
    made = type(request)()
    made.CopyFrom(request)
    if isinstance(made, csi.CreateVolumeRequest | csi.CreateSnapshotRequest):
        made.name = f"{plan.run}-{made.name}"
        made.parameters.clear()
    if isinstance(made, csi.CreateVolumeRequest):
        made.parameters.update(volume_requests.plain_parameters(plan.parameters))
    fields = made.DESCRIPTOR.fields_by_name
    if "secrets" in fields and len(plan.secrets) == 1:
        made.secrets.update(next(iter(plan.secrets.values())))
    capabilities = list(made.volume_capabilities) if "volume_capabilities" in fields else []
    if "volume_capability" in fields and made.HasField("volume_capability"):
        capabilities.append(made.volume_capability)
    multi_writer = stranger.can(Controller.SINGLE_NODE_MULTI_WRITER)
    for each in capabilities:
        each.access_mode.mode = volume_requests.access_mode((plan.access_mode,), multi_writer=multi_writer)
        if plan.volume_mode == "Block":
            each.block.SetInParent()
        else:
            each.mount.fs_type = plan.fs_type
    if "staging_target_path" in fields and NodeRpc.STAGE_UNSTAGE_VOLUME not in stranger.info.node:
        made.staging_target_path = ""
    return made


@dataclass(frozen=True, slots=True)
class _Node:
    """A node as clients know one."""

    node_id: str
    directory: str
    paths: Any
    files: Any

    async def write(self, target: str, name: str, content: bytes) -> None:
        await self.files.write(target, name, content)

    async def read(self, target: str, name: str) -> bytes | None:
        found: bytes | None = await self.files.read(target, name)
        return found


@dataclass(slots=True)
class _Machines:
    """Nobody reboots the machines of somebody else."""

    on_reboot: list[Callable[[str], object]] = field(default_factory=list)


class _Table:
    """What a `Desk` asks of a testbed."""

    pace = HURRIED

    def __init__(self, bed: DriveBed, node_ids: Collection[str]) -> None:
        self._bed = bed
        self.history: History = bed.history
        self.seed = bed.plan.seed
        self.streams = Streams(bed.plan.seed)
        self.cluster = _Machines()
        self.nodes = {
            each: _Node(each, bed.paths[each].directory, bed.paths[each], bed.files[each]) for each in node_ids
        }

    def caller(self, _name: str, node_id: str) -> Caller:
        return FittedCaller(self._bed, node_id)


class DriveClients:
    """So many clients that make random calls, and then everything is taken away.

    Args:
        bed: with at least one node.
    """

    def __init__(self, bed: DriveBed) -> None:
        plan = bed.plan
        self.bed = bed
        ids = list(bed.stranger.node_ids.values())
        # What is for one node is used on one node alone: else the driver would have to tell who may not.
        table = _Table(bed, ids if plan.access_mode in {RWX, ROX} else ids[:1])
        run = RunPlan(
            seed=plan.seed, workload="clients", clients=plan.users, operations=plan.rounds,
            volumes=max(2, plan.users // 2), protocols=("nfs",), nodes=len(ids), faults=("none",), real=True,
        )  # fmt: skip
        self._desk = Desk(cast("Testbed", table), run)
        self._desk.pace = replace(
            HURRIED, controller_s=15.0 * plan.patience, node_s=60.0 * plan.patience,
            settle_s=30.0 / plan.speed, backoff_s=1.0 / plan.speed, backoff_max_s=30.0 / plan.speed,
        )  # fmt: skip
        self._desk.controller = FittedCaller(bed, None)

    async def safety(self) -> None:
        """All clients at a time."""
        if self.bed.proxy is not None:
            await self.bed.proxy.begin()
        async with asyncio.TaskGroup() as tasks:
            for number in range(1, self.bed.plan.users + 1):
                client = Client(number, self._desk)
                tasks.create_task(client.run(self.bed.plan.rounds), name=client.name)

    async def liveness(self) -> None:
        """Everything is taken away."""
        await self.bed.listed("on the way")
        await Unwinding(self._desk).run()

    async def close(self) -> None:
        """Hang up."""
        await self._desk.close()
        await self._desk.controller.close()

    def expected(self, left: list[str]) -> list[str]:  # noqa: ARG002 - see Workload
        """Nothing."""
        return []
