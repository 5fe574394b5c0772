"""Somebody else's driver: reaching it, finding out who it is, and watching what goes over the wire to it."""

import asyncio
import errno
import random
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from csisim.co.callers import Caller, CallFailed, Calls, Role
from csisim.co.driver_info import Controller, DriverInfo, Plugin, ask, ask_node
from csisim.endpoint import Endpoint
from csisim.pb import csi_pb2 as csi
from csisim.runs.drive_plan import DrivePlan

_MEETING: Final = Role("drive", 5.0, frozenset())
_READY_POLLS: Final = 40
_READY_S: Final = 0.25
_RECONNECT_MS: Final = 200
_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS),
    ("grpc.use_local_subchannel_pool", 1),  # a connection for each caller, as processes of their own have
)
_CONNECT_S: Final = 5.0


class CannotDrive(Exception):
    """The driver cannot be reached, or there is nothing to drive; says what was tried, and what to check."""


@dataclass(frozen=True, slots=True)
class Stranger:
    """What is known of a driver.

    Attributes:
        info: name and capabilities; those of nodes are of the first one.
        version: as in GetPluginInfo.
        node_ids: by the names of nodes, of those that have a node service.
    """

    info: DriverInfo
    version: str
    node_ids: Mapping[str, str]

    def can(self, *capabilities: int) -> bool:
        """Whether its controller says all of these."""
        return set(capabilities) <= self.info.controller


async def meet(plan: DrivePlan, rng: random.Random) -> Stranger:
    """Reach every socket, and ask who is there.

    Raises:
        CannotDrive: nobody listens, or it is no CSI driver, or one that cannot create volumes.
    """
    for where in dict.fromkeys((plan.controller, *plan.nodes.values())):
        await _reach(where)
    caller = Caller(_channel(plan.controller), Calls(), rng)
    try:
        info, version = await _introduced(plan.controller, caller)
    finally:
        await caller.close()
    node_ids: dict[str, str] = {}
    on_nodes: frozenset[int] = frozenset()
    for name, where in plan.nodes.items():
        found = await _node(name, where, rng, guessed=plan.guessed)
        if found is None:
            continue
        node_id, capabilities = found
        if node_id in node_ids.values():
            raise CannotDrive(f"{name} at {where} says in NodeGetInfo that it is {node_id!r}, which another node is")
        node_ids[name] = node_id
        on_nodes = on_nodes or capabilities
    if Controller.CREATE_DELETE_VOLUME not in info.controller:
        raise CannotDrive(
            f"{info.name} at {plan.controller} says that it cannot create volumes (no CREATE_DELETE_VOLUME in"
            " ControllerGetCapabilities): there is nothing to drive"
        )
    known = DriverInfo(info.name, info.plugin, info.expansion, info.controller, on_nodes)
    return Stranger(known, version, node_ids)


async def _introduced(where: Endpoint, caller: Caller) -> tuple[DriverInfo, str]:
    try:
        for _ in range(_READY_POLLS):
            probed = await caller.once(_MEETING, caller.identity.Probe, csi.ProbeRequest(), "driver")
            if not probed.HasField("ready") or probed.ready.value:
                break
            await asyncio.sleep(_READY_S)
        else:
            raise CannotDrive(f"the driver at {where} answers Probe with ready = false; look into its log")
        info = await ask(caller, _MEETING)
        told = await caller.once(_MEETING, caller.identity.GetPluginInfo, csi.GetPluginInfoRequest(), "driver")
    except CallFailed as error:
        raise CannotDrive(f"what listens at {where} does not answer as a CSI driver does: {error}") from error
    if not info.name:
        raise CannotDrive(f"the driver at {where} has no name in GetPluginInfo")
    if Plugin.CONTROLLER_SERVICE not in info.plugin:
        raise CannotDrive(
            f"{info.name} at {where} has no CONTROLLER_SERVICE in GetPluginCapabilities: it cannot create volumes; if"
            " its controller listens elsewhere, say so with --controller-endpoint"
        )
    return info, str(told.vendor_version)


async def _node(name: str, where: Endpoint, rng: random.Random, *, guessed: bool) -> tuple[str, frozenset[int]] | None:
    caller = Caller(_channel(where), Calls(), rng)
    try:
        told = await caller.once(_MEETING, caller.node.NodeGetInfo, csi.NodeGetInfoRequest(), name)
        node = await ask_node(caller, _MEETING)
    except CallFailed as error:
        if guessed and error.code is grpc.StatusCode.UNIMPLEMENTED:
            return None
        raise CannotDrive(f"node {name} at {where} does not answer as a CSI node service does: {error}") from error
    finally:
        await caller.close()
    if not told.node_id:
        raise CannotDrive(f"node {name} at {where} has no node_id in NodeGetInfo")
    return told.node_id, node.node


async def _reach(where: Endpoint) -> None:
    """Connect once, because the reasons of gRPC are hard to read."""
    if where.is_unix:
        _is_socket(where)
    family = socket.AF_UNIX if where.is_unix else socket.AF_INET6 if ":" in where.host else socket.AF_INET
    address: Any = where.path if where.is_unix else (where.host, where.port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await asyncio.get_running_loop().sock_connect(probe, address)
        except OSError as error:
            raise CannotDrive(f"{where}: {_advice(error)}") from error


def _is_socket(where: Endpoint) -> None:
    try:
        mode = Path(where.path).stat().st_mode
    except OSError as error:
        raise CannotDrive(f"{where}: {_advice(error)}") from error
    if not stat.S_ISSOCK(mode):
        raise CannotDrive(f"{where}: there is something else than a socket")


def _advice(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return "there is no such socket: is the driver running, and is this the path as seen from here?"
        case errno.ECONNREFUSED:
            return "nobody listens there: the driver has ended, and left its socket behind, or has not started yet"
        case errno.EACCES | errno.EPERM:
            return "you may not connect to it: run as the user whose socket it is"
    return f"cannot be reached within {_CONNECT_S:g} s: {error.strerror or type(error).__name__}"


def _channel(where: Endpoint, watcher: "Wire | None" = None, node_id: str = "") -> grpc.aio.Channel:
    interceptors = [] if watcher is None else [_Watched(watcher, node_id)]
    return grpc.aio.insecure_channel(where.target, options=list(_OPTIONS), interceptors=interceptors)


@dataclass(slots=True)
class Wire:
    """Channels to the driver, and what went over them: see `csisim.co.callers.Channels`.

    Args:
        plan: where it listens.
        stranger: who it is.
        ended: told of NodeUnpublishVolume and NodeUnstageVolume that were answered with OK, before their caller is:
            node id and request.

    Attributes:
        creates: the last request for each name of a volume or snapshot; secrets included.
        held: the last request for what is attached, staged or published, by node id and what it is about.
        volumes, snapshots: names by id, of what was created.
        deleted: their ids, once that was answered with OK.
    """

    plan: DrivePlan
    stranger: Stranger
    ended: Callable[[str, Message], None]
    creates: dict[tuple[str, str], Message] = field(default_factory=dict)
    held: dict[tuple[str, ...], tuple[str, Message]] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    snapshots: dict[str, str] = field(default_factory=dict)
    deleted: dict[str, None] = field(default_factory=dict)

    def remaining(self) -> list[str]:
        """What was created and not deleted, as far as answers told."""
        kinds = (("volume", self.volumes), ("snapshot", self.snapshots))
        return [f"{kind} {id_}" for kind, made in kinds for id_ in made if id_ not in self.deleted]

    def channel(self, node_id: str | None) -> grpc.aio.Channel:
        """A new channel to a node's socket, or with None to the controller's; whoever asks for it closes it."""
        if node_id is None:
            return _channel(self.plan.controller, self)
        name = next(name for name, known in self.stranger.node_ids.items() if known == node_id)
        return _channel(self.plan.nodes[name], self, node_id)

    def sent(self, node_id: str, request: Any) -> None:
        """A request goes out."""
        match request:
            case csi.CreateVolumeRequest() | csi.CreateSnapshotRequest():
                self.creates[type(request).__name__, request.name] = request
            case csi.ControllerUnpublishVolumeRequest():
                self.held.pop(("attached", request.volume_id, request.node_id), None)
            case csi.NodeUnstageVolumeRequest():
                self.held.pop(("staged", request.volume_id, node_id), None)
            case csi.NodeUnpublishVolumeRequest():
                self.held.pop(("published", request.target_path, node_id), None)

    def answered(self, node_id: str, request: Any, reply: Any) -> None:
        """It was answered with OK."""
        match request:
            case csi.DeleteVolumeRequest():
                self.deleted[request.volume_id] = None
            case csi.DeleteSnapshotRequest():
                self.deleted[request.snapshot_id] = None
            case csi.CreateVolumeRequest():
                self.deleted.pop(reply.volume.volume_id, None)
                self.volumes[reply.volume.volume_id] = request.name
            case csi.CreateSnapshotRequest():
                self.deleted.pop(reply.snapshot.snapshot_id, None)
                self.snapshots[reply.snapshot.snapshot_id] = request.name
            case csi.ControllerPublishVolumeRequest():
                self.held["attached", request.volume_id, request.node_id] = "", request
            case csi.NodeStageVolumeRequest():
                self.held["staged", request.volume_id, node_id] = node_id, request
            case csi.NodePublishVolumeRequest():
                self.held["published", request.target_path, node_id] = node_id, request
            case csi.NodeUnstageVolumeRequest() | csi.NodeUnpublishVolumeRequest():
                self.ended(node_id, request)


class _Watched(grpc.aio.UnaryUnaryClientInterceptor):
    """Tells a `Wire` of every call of a channel."""

    def __init__(self, wire: Wire, node_id: str) -> None:
        self._wire = wire
        self._node_id = node_id

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Pass the call on as it is."""
        self._wire.sent(self._node_id, request)
        call = await continuation(client_call_details, request)
        if await call.code() is grpc.StatusCode.OK:
            self._wire.answered(self._node_id, request, await call)
        return call
