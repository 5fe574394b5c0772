"""What users want of a driver that is not ours: only what it says it can do, one stage after the other.

Claims and pods that use them, lists, the same requests a second time, pods on another node, more room, snapshots and
restores, clones, raw volumes; and in the end nothing any more. Where faults are in force a stage that does not come
true in time ends the first phase; the rest follows when they are gone.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from csisim.co import volume_requests
from csisim.co.callers import INDETERMINATE, CallFailed, Role
from csisim.co.driver_info import Controller, Expansion, NodeRpc
from csisim.co.manifests import Manifests
from csisim.co.objects import (
    ROX,
    RWX,
    CSINode,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Secret,
    StorageClass,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
)
from csisim.co.orchestrator import NotConverged
from csisim.co.volume_requests import PREFIX, reachable
from csisim.runs.drive_bed import DriveBed

Stage = Callable[[], Awaitable[None]]

_REPEATS: Final = 20
_REPEATER: Final = Role("repeater", 30.0, frozenset())
_REFUSED: Final = ("INVALID_ARGUMENT", "UNIMPLEMENTED", "OUT_OF_RANGE")
_USES: Final = ("provisioner", "controller-publish", "controller-expand", "node-stage", "node-publish", "node-expand",
                "snapshotter")  # fmt: skip


class _Wanted:
    """What both kinds of stories have in common: stages, their end, and what may be left.

    Args:
        bed: where it happens.
    """

    def __init__(self, bed: DriveBed) -> None:
        self.bed = bed
        self.co = bed.co
        self.plan = bed.plan
        self.stages: deque[Stage] = deque()
        self.calm: list[Stage] = []  # only while nothing goes wrong

    async def safety(self) -> None:
        """As many stages as come true in time."""
        if self.bed.proxy is not None:
            await self.bed.proxy.begin()
        while self.stages:
            try:
                await self.stages[0]()
                await self._settled(self.plan.timeout_s / 2)
            except NotConverged:
                self.stages.popleft()  # it goes on in the next phase
                return
            self.stages.popleft()

    async def liveness(self) -> None:
        """Everything comes true; then nothing is wanted any more, and everything goes, whatever came of the rest."""
        first: NotConverged | None = None
        try:
            await self._settled(self.plan.timeout_s)
            for stage in (*self.stages, *self.calm):
                await stage()
                await self._settled(self.plan.timeout_s)
        except NotConverged as error:
            first = error
        try:
            await self.co.everything_absent(self.plan.timeout_s)
        except NotConverged as error:
            first = first or error
        if first is not None:
            raise first

    async def _settled(self, timeout_s: float) -> None:
        """Everything is as it is wanted; where pods really have their volumes, they have had time to use them."""
        await self.co.settled(timeout_s)
        if any(files.used for files in self.bed.files.values()):
            await asyncio.sleep(2 * self.bed.io_s)

    def expected(self, left: list[str]) -> list[str]:
        """Volumes that are to be kept, and those that a crashed provisioner forgot."""
        kept = [f"volume {pv.volume_handle}" for pv in self.co.api.all_of(PersistentVolume)
                if pv.reclaim_policy == "Retain"]  # fmt: skip
        kept += [f"snapshot {each.snapshot_handle}" for each in self.co.api.all_of(VolumeSnapshotContent)
                 if each.deletion_policy == "Retain"]  # fmt: skip
        forgotten = tuple(self.co.forgotten)
        names = self.bed.wire.volumes
        return [each for each in left if each in kept or names.get(each.removeprefix("volume "), "?") in forgotten]

    # --- the same once more

    async def repeat(self) -> None:
        """Send what has succeeded a second time, as a sidecar does that took over from one that died."""
        for request in self._still_there():
            await self._again(None, "controller", request)
        for what, (node_id, request) in tuple(self.bed.wire.held.items()):
            if what in self.bed.wire.held:
                await self._again(node_id or None, "node" if node_id else "controller", request)

    def _still_there(self) -> list[Any]:
        """The creations whose volume or snapshot is there now as it was asked for."""
        sizes = {pv.name: pv.capacity for pv in self.co.api.all_of(PersistentVolume) if not pv.deleting}
        contents = {f"snapshot-{each.snapshot_ref.uid}" for each in self.co.api.all_of(VolumeSnapshotContent)
                    if each.snapshot_handle and not each.deleting}  # fmt: skip
        grown = {claim.volume_name for claim in self.co.api.all_of(PersistentVolumeClaim)
                 if claim.volume_name and self._first.get(claim.key, claim.storage) != claim.storage}  # fmt: skip
        found = []
        for (_, name), request in self.bed.wire.creates.items():
            if (name in sizes and name not in grown) or name in contents:
                found.append(request)
        return found

    @property
    def _first(self) -> dict[str, int]:
        """What claims asked for at first, by key."""
        return {}

    async def _again(self, node_id: str | None, service: str, request: Any) -> None:
        """Once more, until it is known what came of it: nothing that was asked for may come true later."""
        name = type(request).__name__.removesuffix("Request")
        caller = self.bed.caller("repeater" if node_id is None else f"repeater {node_id}", node_id)
        method = getattr(getattr(caller, service), name)
        role = replace(_REPEATER, timeout_s=_REPEATER.timeout_s * self.plan.patience)
        pause_s = 1.0 / self.plan.speed
        try:
            for _ in range(_REPEATS):
                try:
                    await caller.once(role, method, request, name)
                    return
                except CallFailed as error:
                    if error.code not in INDETERMINATE and error.code.name != "ABORTED":
                        return
                await asyncio.sleep(pause_s * self.bed.rng.uniform(0.5, 1.0))
                pause_s *= 2
        finally:
            await caller.close()


class ManifestStory(_Wanted):
    """What manifests say, and what later ones change.

    Args:
        bed: where it happens.
        manifests: selectors of nodes by name.
    """

    def __init__(self, bed: DriveBed, manifests: Manifests) -> None:
        super().__init__(bed)
        for objects in (manifests.objects, *manifests.changes):
            self.stages.append(lambda objects=objects: self._apply(objects))  # type: ignore[misc]
        self.stages.append(self._list)
        self.calm.append(self.repeat)
        bed.notes |= dict.fromkeys(manifests.warnings)

    async def _apply(self, objects: tuple[Object, ...]) -> None:
        ids = self.bed.stranger.node_ids
        self.co.apply([_on_node_ids(each, dict(ids)) for each in objects])

    async def _list(self) -> None:
        await self.bed.listed("on the way")


def _on_node_ids(each: Object, ids: dict[str, str]) -> Object:
    """A pod's selector names a node as the command line does; the orchestrator names it as the driver does."""
    if isinstance(each, Pod):
        return replace(each, node_selector={key: ids.get(value, value) for key, value in each.node_selector.items()})
    template = getattr(each, "template", None)
    return replace(each, template=_on_node_ids(template, ids)) if isinstance(template, Pod) else each  # type: ignore[call-arg]


class DriveStory(_Wanted):
    """The built-in intents.

    Args:
        bed: where they are wanted.
    """

    def __init__(self, bed: DriveBed) -> None:
        super().__init__(bed)
        self._nodes = list(bed.stranger.node_ids.values())
        self._users = range(1, self.plan.users + 1)
        self._sizes: dict[str, int] = {}
        self._stays = self.plan.volume_mode == "Block"
        for round_ in range(1, self.plan.rounds + 1):
            self.stages += [lambda stage=stage, round_=round_: stage(round_) for stage in self._possible()]  # type: ignore[misc]
        if self.plan.rules:
            after = (self._claims, self._lists, self._repeats, self._pods_away, self._claims_away)
            self.calm += [lambda stage=stage: stage(self.plan.rounds + 1) for stage in after]  # type: ignore[misc]

    @property
    def _first(self) -> dict[str, int]:
        return self._sizes

    def _possible(self) -> list[Callable[[int], Awaitable[None]]]:
        """The stages that the driver's capabilities allow."""
        can, info = self.bed.stranger.can, self.bed.stranger.info
        pods = bool(self._nodes)
        found: list[Callable[[int], Awaitable[None]]] = [self._claims]
        found += [self._lists]
        found += [] if self.plan.rules else [self._repeats]
        found += [self._pods_away, self._pods_elsewhere] if pods else []
        if can(Controller.EXPAND_VOLUME) or (pods and NodeRpc.EXPAND_VOLUME in info.node):
            offline = Expansion.ONLINE not in info.expansion and Expansion.OFFLINE in info.expansion
            found += [self._pods_away, self._more_room, self._pods_back] if offline and pods else [self._more_room]
        if can(Controller.CREATE_DELETE_SNAPSHOT):
            found += [self._snapshots, self._lists, self._restores]
        found += [self._clones] if can(Controller.CLONE_VOLUME) else []
        found += [self._raw] if self.plan.volume_mode == "both" else []
        return [*found, self._pods_away, self._copies_away, self._snapshots_away, self._claims_away]

    # --- stages

    async def _claims(self, round_: int) -> None:
        if round_ == 1:
            self.co.apply(self._classes())
        for user in self._users:
            self._claim(f"data-{user}", block=self._stays)
            self._pod(f"pod-{user}", f"data-{user}")

    async def _lists(self, _round: int) -> None:
        await self.bed.listed("on the way")

    async def _repeats(self, _round: int) -> None:
        await self.repeat()

    async def _pods_away(self, _round: int) -> None:
        for pod in self.co.api.all_of(Pod):
            self.co.delete(Pod.kind, pod.name)

    async def _pods_elsewhere(self, _round: int) -> None:
        """Each on the next node that its volume can be used on."""
        for user in self._users:
            self._pod(f"pod-{user}", f"data-{user}", self._next_node(f"data-{user}", user))

    async def _pods_back(self, _round: int) -> None:
        for user in self._users:
            self._pod(f"pod-{user}", f"data-{user}")

    async def _more_room(self, _round: int) -> None:
        for user in self._users:
            claim = self._bound(f"data-{user}")
            if claim is not None:
                self.co.expand(claim.name, max(claim.capacity, claim.storage) + self.plan.size_bytes)

    async def _snapshots(self, _round: int) -> None:
        for user in self._users:
            if self._bound(f"data-{user}") is not None:
                self.co.create_snapshot(f"snap-{user}", f"data-{user}")

    async def _restores(self, _round: int) -> None:
        for user in self._users:
            snapshot = self.co.get(VolumeSnapshot.kind, f"snap-{user}")
            claim = self._bound(f"data-{user}")
            if claim is not None and snapshot is not None and snapshot.ready_to_use:
                self._copy(f"restored-{user}", claim, snapshot.restore_size, from_snapshot=snapshot.name)

    async def _clones(self, _round: int) -> None:
        for user in self._users:
            claim = self._bound(f"data-{user}")
            if claim is not None:
                self._copy(f"cloned-{user}", claim, claim.capacity, from_claim=claim.name)

    async def _raw(self, _round: int) -> None:
        """A raw volume, unless the driver refuses it: no capability tells whether it has such."""
        claim = self._claim("raw", block=True)
        if await self._refused(claim):
            self.bed.notes[f"raw block volumes were not tried: {self._complaint(claim)}"] = None
            self.co.delete(PersistentVolumeClaim.kind, claim.name)
        else:
            self._pod("pod-raw", claim.name)

    async def _copies_away(self, _round: int) -> None:
        """Before what they were made from: a driver may refuse to delete that while it has copies."""
        for claim in self.co.api.all_of(PersistentVolumeClaim):
            if claim.data_source is not None:
                self.co.delete(PersistentVolumeClaim.kind, claim.name)

    async def _snapshots_away(self, _round: int) -> None:
        for snapshot in self.co.api.all_of(VolumeSnapshot):
            self.co.delete(VolumeSnapshot.kind, snapshot.name)

    async def _claims_away(self, _round: int) -> None:
        await self.bed.listed("on the way")
        for claim in self.co.api.all_of(PersistentVolumeClaim):
            self.co.delete(PersistentVolumeClaim.kind, claim.name)

    # --- objects

    def _classes(self) -> list[Object]:
        plan, driver = self.plan, self.bed.stranger.info.name
        parameters = dict(plan.parameters)
        if plan.fs_type:
            parameters[volume_requests.FS_TYPE] = plan.fs_type
        secrets: list[Object] = [Secret(name=name, data=dict(data)) for name, data in plan.secrets.items()]
        cut: dict[str, str] = {}
        if len(secrets) == 1:  # the only one is for everything that the class does not say otherwise
            for use in _USES:
                where = cut if use == "snapshotter" else parameters
                where.setdefault(f"{PREFIX}{use}-secret-name", secrets[0].name)
                where.setdefault(f"{PREFIX}{use}-secret-namespace", "default")
        cut |= {key: value for key, value in parameters.items() if key.startswith(f"{PREFIX}snapshotter-")}
        expands = (
            self.bed.stranger.can(Controller.EXPAND_VOLUME) or NodeRpc.EXPAND_VOLUME in self.bed.stranger.info.node
        )
        return [
            *secrets,
            StorageClass(name="drive", provisioner=driver, parameters=parameters, allow_volume_expansion=expands,
                         is_default=True),
            VolumeSnapshotClass(name="drive", driver=driver, is_default=True, parameters=cut),
        ]  # fmt: skip

    def _claim(self, name: str, *, block: bool) -> PersistentVolumeClaim:
        self._sizes[f"default/{name}"] = self.plan.size_bytes
        return self.co.create_claim(name, self.plan.size_bytes, access_modes=(self.plan.access_mode,), block=block)

    def _copy(self, name: str, of: PersistentVolumeClaim, least: int, **source: str) -> None:
        """With a pod that reads what was written to the original."""
        size_bytes = self._sizes[f"default/{name}"] = max(of.storage, of.capacity, least)
        self.co.create_claim(
            name, size_bytes, access_modes=of.access_modes, block=of.volume_mode == "Block", **source
        )  # fmt: skip
        self._pod(f"pod-{name}", name)

    def _pod(self, name: str, claim: str, node: str = "") -> None:
        """On every node, if the volume may be there."""
        if not self._nodes:
            return
        self.co.create_pod(name, claim, node=node)
        if self.plan.access_mode in {RWX, ROX} and not node:
            for number, each in enumerate(self._nodes[1:], start=2):
                if self._reachable(claim, each):
                    self.co.create_pod(f"{name}-{number}", claim, node=each)

    def _reachable(self, claim: str, node: str) -> bool:
        found = self._bound(claim)
        pv = None if found is None else self.co.api.get(PersistentVolume, found.volume_name)
        known = self.co.api.get(CSINode, node)
        return pv is None or known is None or reachable(pv, known)

    def _next_node(self, claim: str, user: int) -> str:
        fitting = [node for node in self._nodes if self._reachable(claim, node)]
        return fitting[user % len(fitting)] if len(fitting) > 1 else ""

    def _bound(self, name: str) -> PersistentVolumeClaim | None:
        claim: PersistentVolumeClaim | None = self.co.get(PersistentVolumeClaim.kind, name)
        return claim if claim is not None and claim.phase == "Bound" and not claim.deleting else None

    async def _refused(self, claim: PersistentVolumeClaim) -> bool:
        """Whether the driver will have none of a claim; else it is bound, or that takes its time."""
        changed = asyncio.Event()
        stop = self.co.api.watch(lambda _changed, _gone: changed.set())
        heard = self.bed.history.listen(lambda _event: changed.set())
        try:
            async with asyncio.timeout(self.plan.timeout_s / 2):
                while self._bound(claim.name) is None:
                    changed.clear()
                    if any(code in self._complaint(claim) for code in _REFUSED):
                        return True
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            stop()
            heard()
        return False

    def _complaint(self, claim: PersistentVolumeClaim) -> str:
        said = self.co.describe(claim.ref)
        return said[-1].message if said else ""
