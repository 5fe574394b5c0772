"""external-provisioner: claims become volumes, and released volumes go.

While the outcome of CreateVolume is unknown it keeps asking with the same request, also if the claim has been deleted
meanwhile: that is how the real one avoids leaks. An answer that it takes as final ends this; the claim, if it is still
there, begins anew. The real one forgets what is in progress when it crashes, and so does this.
"""

from dataclasses import dataclass
from typing import Final

from grpc import StatusCode

from csisim.co import volume_requests as requests
from csisim.co.api import NotFound
from csisim.co.callers import PROVISIONER, CallFailed
from csisim.co.driver_info import Controller, Plugin
from csisim.co.objects import (
    ClaimRef,
    CSINode,
    Object,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    VolumeAttachment,
    VolumeAttributesClass,
)
from csisim.co.process import Process, Shared
from csisim.co.sources import CLONING, content_source
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

FINALIZER: Final = "external-provisioner.volume.kubernetes.io/finalizer"
PROTECTION: Final = "kubernetes.io/pv-protection"


@dataclass(frozen=True, slots=True)
class _InProgress:
    """A CreateVolume that may have happened, or still happen."""

    claim: PersistentVolumeClaim
    request: csi.CreateVolumeRequest


class Provisioner(Process):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("provisioner", shared)
        self._in_progress: dict[str, _InProgress] = {}
        self._caller = self.caller()
        self._claims = self.queue("claim", self._sync_claim, workers=100)
        self._volumes = self.queue("volume", self._sync_volume, workers=100)

    async def _main(self) -> None:
        self._driver = await self.driver(PROVISIONER, self._caller)
        if Controller.CREATE_DELETE_VOLUME in self._driver.controller:
            self.watch(self._changed)

    async def stop(self) -> None:
        """Forget everything, also what may have been created for claims that are gone."""
        await super().stop()
        for each in self._in_progress.values():
            self.shared.forgotten[each.request.name] = each.claim.ref

    def _changed(self, changed: Object, gone: bool) -> None:
        if isinstance(changed, PersistentVolumeClaim) and changed.phase == "Pending":
            self._claims.add_fresh(f"{changed.key} {changed.uid}")
        elif isinstance(changed, PersistentVolume) and changed.phase == "Released" and not gone:
            self._volumes.add_fresh(changed.name)

    async def _sync_claim(self, key: str) -> None:
        where, _, uid = key.partition(" ")
        known = self._in_progress.get(key)
        claim = self.api.at(PersistentVolumeClaim, where)
        if claim is None or claim.uid != uid or (claim.deleting and known is None):
            if known is None:
                return
            claim = known.claim
        storage_class = self.api.get(StorageClass, claim.storage_class_name)
        if storage_class is None:
            raise self._complaint(claim, f"storageclass {claim.storage_class_name!r} not found")
        name = f"pvc-{claim.uid}"
        if claim.volume_name or storage_class.provisioner != self.shared.driver:
            return
        if self.api.get(PersistentVolume, name) is not None:
            self._in_progress.pop(key, None)
            return
        late = storage_class.volume_binding_mode == "WaitForFirstConsumer"
        if known is None and late and not claim.selected_node:
            return
        request = self._request(claim, storage_class) if known is None else known.request
        self._in_progress[key] = _InProgress(claim, request)
        self.shared.forgotten.pop(name, None)
        try:
            reply = await self._caller.once(
                self.timings.role(PROVISIONER), self._caller.controller.CreateVolume, request, name
            )
        except CallFailed as error:
            raise self._failed(key, claim, error, late=late) from error
        await self._check(request, reply.volume)
        self._finish(key, claim, storage_class, reply.volume)

    def _failed(self, key: str, claim: PersistentVolumeClaim, error: CallFailed, *, late: bool) -> Retry:
        """Pending codes keep the claim in progress; with late binding a lack of room sends the pod elsewhere."""
        if error.code not in PROVISIONER.repeats:
            del self._in_progress[key]
            self._release_source(claim)
            if error.code is StatusCode.RESOURCE_EXHAUSTED and late:
                self._patch(claim, selected_node="")
        return self._complaint(claim, str(error))

    def _complaint(self, claim: PersistentVolumeClaim, why: str) -> Retry:
        self.api.event(claim, "Warning", "ProvisioningFailed", why)
        return Retry(f"{claim.ref}: {why}")

    def _request(self, claim: PersistentVolumeClaim, storage_class: StorageClass) -> csi.CreateVolumeRequest:
        multi_writer = Controller.SINGLE_NODE_MULTI_WRITER in self._driver.controller
        capabilities = [
            requests.capability(
                claim,
                multi_writer=multi_writer,
                fs_type=storage_class.parameters.get(requests.FS_TYPE, ""),
                mount_flags=storage_class.mount_options,
            )
        ]
        name = f"pvc-{claim.uid}"
        refs = requests.secret_refs(storage_class.parameters, claim, name)
        request = csi.CreateVolumeRequest(
            name=name,
            capacity_range=csi.CapacityRange(required_bytes=claim.storage),
            volume_capabilities=capabilities,
            parameters=requests.plain_parameters(storage_class.parameters),
            secrets=requests.secret(self.api, refs, "provisioner"),
            mutable_parameters=self._mutable_parameters(claim),
        )
        if Plugin.VOLUME_ACCESSIBILITY_CONSTRAINTS in self._driver.plugin:
            nodes = [node for node in self.api.all_of(CSINode) if node.driver == self.shared.driver]
            wanted = requests.topology(nodes, claim.name, claim.selected_node)
            if wanted is not None:
                request.accessibility_requirements.CopyFrom(wanted)
        try:
            source = content_source(self.api, claim, self.shared.driver, self._driver.controller)
        except Retry as error:
            raise self._complaint(claim, str(error)) from None
        if source is not None:
            request.volume_content_source.CopyFrom(source)
        return request

    def _mutable_parameters(self, claim: PersistentVolumeClaim) -> dict[str, str]:
        name = claim.volume_attributes_class_name
        if not name or Controller.MODIFY_VOLUME not in self._driver.controller:
            return {}
        found = self.api.get(VolumeAttributesClass, name)
        if found is None:
            raise self._complaint(claim, f"volumeattributesclass {name!r} not found")
        return dict(sorted(found.parameters.items()))

    async def _check(self, request: csi.CreateVolumeRequest, volume: csi.Volume) -> None:
        """An answer that does not keep what was asked for: the volume is deleted again."""
        wrong = ""
        if 0 < volume.capacity_bytes < request.capacity_range.required_bytes:
            wrong = f"capacity {volume.capacity_bytes} is less than requested {request.capacity_range.required_bytes}"
        elif request.HasField("volume_content_source") and not volume.HasField("content_source"):
            wrong = "volume content source missing"
        if not wrong:
            return
        method = self._caller.controller.DeleteVolume
        delete = csi.DeleteVolumeRequest(volume_id=volume.volume_id, secrets=request.secrets)
        try:
            await self._caller.once(self.timings.role(PROVISIONER), method, delete, volume.volume_id)
        except CallFailed as error:
            raise Retry(f"{request.name}: {wrong}; and it could not be deleted: {error}") from error
        raise Retry(f"{request.name}: {wrong}")

    def _finish(self, key: str, claim: PersistentVolumeClaim, storage_class: StorageClass, volume: csi.Volume) -> None:
        name = f"pvc-{claim.uid}"
        modify = Controller.MODIFY_VOLUME in self._driver.controller
        self.api.create(
            PersistentVolume(
                name=name,
                finalizers=(FINALIZER, PROTECTION),
                driver=self.shared.driver,
                volume_handle=volume.volume_id,
                volume_attributes=dict(sorted(volume.volume_context.items())),
                fs_type=storage_class.parameters.get(requests.FS_TYPE, ""),
                capacity=volume.capacity_bytes or claim.storage,
                access_modes=claim.access_modes,
                volume_mode=claim.volume_mode,
                storage_class_name=storage_class.name,
                mount_options=storage_class.mount_options,
                reclaim_policy=storage_class.reclaim_policy,
                claim_ref=ClaimRef(claim.namespace, claim.name, claim.uid),
                node_affinity=tuple(dict(sorted(each.segments.items())) for each in volume.accessible_topology),
                volume_attributes_class_name=claim.volume_attributes_class_name if modify else "",
                secret_refs=requests.secret_refs(storage_class.parameters, claim, name),
            )
        )
        del self._in_progress[key]
        self._release_source(claim)
        self.api.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _release_source(self, claim: PersistentVolumeClaim) -> None:
        """The claim that this one is a clone of may go now, unless another clone is being made of it."""
        source = claim.data_source
        if source is None or source.kind != PersistentVolumeClaim.kind:
            return
        others = [each.claim.data_source for each in self._in_progress.values()
                  if each.claim.namespace == claim.namespace and each.claim.uid != claim.uid]  # fmt: skip
        found = self.api.get(PersistentVolumeClaim, source.name, claim.namespace)
        if found is not None and source not in others:
            self.api.remove_finalizer(found, CLONING)

    def _patch(self, claim: PersistentVolumeClaim, **changes: object) -> None:
        try:
            self.api.patch(claim, **changes)
        except NotFound:
            return

    async def _sync_volume(self, name: str) -> None:
        pv = self.api.get(PersistentVolume, name)
        if pv is None or pv.phase != "Released" or pv.driver != self.shared.driver:
            return
        if pv.reclaim_policy != "Delete" or FINALIZER not in pv.finalizers:
            return
        for each in self.api.all_of(VolumeAttachment):
            if each.pv_name == name:
                raise Retry(f"{pv.ref} is still attached to node {each.node_name}")
        request = csi.DeleteVolumeRequest(
            volume_id=pv.volume_handle, secrets=requests.secret(self.api, pv.secret_refs, "provisioner")
        )
        try:
            await self._caller.once(
                self.timings.role(PROVISIONER), self._caller.controller.DeleteVolume, request, pv.volume_handle
            )
        except CallFailed as error:
            self.api.event(pv, "Warning", "VolumeFailedDelete", str(error))
            raise Retry(f"{pv.ref}: {error}") from error
        self.api.delete(pv)
        self.api.remove_finalizer(pv, FINALIZER)
