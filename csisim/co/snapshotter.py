"""snapshot-controller and csi-snapshotter in one: VolumeSnapshots become contents, contents become snapshots.

While the outcome of CreateSnapshot is unknown the content bears a mark, is not deleted, and the call is repeated. The
mark is in the API: unlike the provisioner, this one does not forget when it crashes.
"""

from typing import Final

from csisim.co import volume_requests as requests
from csisim.co.api import NotFound
from csisim.co.callers import SNAPSHOTTER, CallFailed
from csisim.co.driver_info import Controller
from csisim.co.objects import (
    ClaimRef,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    VolumeSnapshot,
    VolumeSnapshotClass,
    VolumeSnapshotContent,
)
from csisim.co.process import Process, Shared
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

BOUND: Final = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection"
CONTENT_BOUND: Final = "snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection"
AS_SOURCE: Final = "snapshot.storage.kubernetes.io/pvc-as-source-protection"
_SECRET: Final = "snapshotter"  # noqa: S105 - the use of a secret


class Snapshotter(Process):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("snapshotter", shared)
        self._caller = self.caller()
        self._snapshots = self.queue("snapshot", self._sync_snapshot)
        self._contents = self.queue("content", self._sync_content)

    async def _main(self) -> None:
        self._driver = await self.driver(SNAPSHOTTER, self._caller)
        self.watch(self._changed)

    def _changed(self, changed: Object, gone: bool) -> None:
        if isinstance(changed, VolumeSnapshot) and not gone:
            self._snapshots.add_fresh(changed.key)
        elif isinstance(changed, VolumeSnapshotContent):
            if not gone:
                self._contents.add_fresh(changed.name)
            self._snapshots.add(changed.snapshot_ref.key)
        elif isinstance(changed, PersistentVolumeClaim) and changed.data_source is not None:
            self._snapshots.add_fresh(f"{changed.namespace}/{changed.data_source.name}")

    # --- snapshot-controller

    async def _sync_snapshot(self, key: str) -> None:
        snapshot = self.api.at(VolumeSnapshot, key)
        if snapshot is None:
            return
        content = self.api.get(VolumeSnapshotContent, f"snapcontent-{snapshot.uid}")
        if snapshot.deleting:
            self._end(snapshot, content)
        elif content is None:
            self._begin(snapshot)
        else:
            self.api.patch(
                snapshot, content_name=content.name, ready_to_use=content.ready_to_use,
                restore_size=content.restore_size, error=content.error,
            )  # fmt: skip
            if content.snapshot_handle:
                self._release_source(snapshot)

    def _begin(self, snapshot: VolumeSnapshot) -> None:
        name = snapshot.volume_snapshot_class_name
        classes = self.api.all_of(VolumeSnapshotClass)
        found = next((each for each in classes if (each.name == name if name else each.is_default)), None)
        if found is None:
            raise self._complaint(snapshot, f"volumesnapshotclass {name!r} not found")
        if found.driver != self.shared.driver:
            return
        claim = self.api.get(PersistentVolumeClaim, snapshot.source_claim_name, snapshot.namespace)
        if claim is None or claim.phase != "Bound" or claim.deleting:
            raise self._complaint(snapshot, f"claim {snapshot.source_claim_name} is not there, not bound, or deleted")
        pv = self.api.get(PersistentVolume, claim.volume_name)
        if pv is None or pv.driver != self.shared.driver:
            raise self._complaint(snapshot, f"claim {claim.name} has no volume of driver {self.shared.driver}")
        snapshot = self.api.add_finalizer(snapshot, BOUND)
        self.api.add_finalizer(claim, AS_SOURCE)
        self.api.create(
            VolumeSnapshotContent(
                name=f"snapcontent-{snapshot.uid}",
                finalizers=(CONTENT_BOUND,),
                driver=self.shared.driver,
                volume_handle=pv.volume_handle,
                snapshot_ref=ClaimRef(snapshot.namespace, snapshot.name, snapshot.uid),
                snapshot_class_name=found.name,
                deletion_policy=found.deletion_policy,
            )
        )

    def _end(self, snapshot: VolumeSnapshot, content: VolumeSnapshotContent | None) -> None:
        """A snapshot that a claim is being made from stays until that is done."""
        for claim in self.api.all_of(PersistentVolumeClaim):
            source = claim.data_source
            same = claim.namespace == snapshot.namespace and source is not None and source.name == snapshot.name
            if same and source is not None and source.kind == VolumeSnapshot.kind and claim.phase == "Pending":
                raise self._complaint(snapshot, f"claim {claim.name} is being made from it")
        if content is not None:
            if content.deletion_policy == "Retain":
                self.api.remove_finalizer(content, CONTENT_BOUND)
            else:
                self.api.delete(content)
                return
        self._release_source(snapshot)
        self.api.remove_finalizer(snapshot, BOUND)

    def _release_source(self, snapshot: VolumeSnapshot) -> None:
        claim = self.api.get(PersistentVolumeClaim, snapshot.source_claim_name, snapshot.namespace)
        others = [
            each
            for each in self.api.all_of(VolumeSnapshot)
            if each.source_claim_name == snapshot.source_claim_name and each.namespace == snapshot.namespace
            if each.uid != snapshot.uid and not self._is_cut(each)
        ]
        if claim is not None and not others:
            self.api.remove_finalizer(claim, AS_SOURCE)

    def _is_cut(self, snapshot: VolumeSnapshot) -> bool:
        content = self.api.get(VolumeSnapshotContent, f"snapcontent-{snapshot.uid}")
        return content is None or bool(content.snapshot_handle)

    def _complaint(self, snapshot: VolumeSnapshot, why: str) -> Retry:
        self.api.event(snapshot, "Warning", "SnapshotFailed", why)
        return Retry(f"{snapshot.ref}: {why}")

    # --- csi-snapshotter

    async def _sync_content(self, name: str) -> None:
        content = self.api.get(VolumeSnapshotContent, name)
        if content is None or content.driver != self.shared.driver:
            return
        if Controller.CREATE_DELETE_SNAPSHOT not in self._driver.controller:
            self.api.event(content, "Warning", "SnapshotFailed", "the driver has no snapshots")
            return
        if content.deleting and not content.being_created:
            await self._delete(content)
        elif not content.ready_to_use:
            await self._create(content)

    async def _create(self, content: VolumeSnapshotContent) -> None:
        found = self.api.get(VolumeSnapshotClass, content.snapshot_class_name)
        parameters = {} if found is None else found.parameters
        if not content.snapshot_handle:
            content = self.api.patch(content, being_created=True)
        request = csi.CreateSnapshotRequest(
            source_volume_id=content.volume_handle,
            name=f"snapshot-{content.snapshot_ref.uid}",
            secrets=self._secret(parameters, content),
            parameters=requests.plain_parameters(parameters),
        )
        method = self._caller.controller.CreateSnapshot
        try:
            reply = await self._caller.once(self.timings.role(SNAPSHOTTER), method, request, content.volume_handle)
        except CallFailed as error:
            final = error.code not in SNAPSHOTTER.repeats
            self._patch(content, error=str(error), **({"being_created": False} if final else {}))
            self.api.event(content, "Warning", "SnapshotContentCheckandUpdateFailed", str(error))
            raise Retry(f"{content.ref}: {error}") from error
        self._patch(
            content, being_created=False, error="", snapshot_handle=reply.snapshot.snapshot_id,
            restore_size=reply.snapshot.size_bytes, ready_to_use=reply.snapshot.ready_to_use,
        )  # fmt: skip
        if not reply.snapshot.ready_to_use:
            raise Retry(f"{content.ref}: the snapshot is cut, and not ready to use yet")

    async def _delete(self, content: VolumeSnapshotContent) -> None:
        if content.snapshot_handle and content.deletion_policy == "Delete":
            found = self.api.get(VolumeSnapshotClass, content.snapshot_class_name)
            request = csi.DeleteSnapshotRequest(
                snapshot_id=content.snapshot_handle,
                secrets=self._secret({} if found is None else found.parameters, content),
            )
            method = self._caller.controller.DeleteSnapshot
            try:
                await self._caller.once(self.timings.role(SNAPSHOTTER), method, request, content.snapshot_handle)
            except CallFailed as error:
                self.api.event(content, "Warning", "SnapshotDeleteError", str(error))
                raise Retry(f"{content.ref}: {error}") from error
        self.api.remove_finalizer(content, CONTENT_BOUND)

    def _secret(self, parameters: object, content: VolumeSnapshotContent) -> dict[str, str]:
        values = dict(parameters) if isinstance(parameters, dict) else {}
        name = values.get(f"{requests.PREFIX}{_SECRET}-secret-name", "")
        namespace = values.get(f"{requests.PREFIX}{_SECRET}-secret-namespace", content.snapshot_ref.namespace)
        return requests.secret(self.api, {_SECRET: (namespace, name)} if name else {}, _SECRET)

    def _patch(self, content: VolumeSnapshotContent, **changes: object) -> None:
        try:
            self.api.patch(content, **changes)
        except NotFound:
            return
