"""external-attacher: VolumeAttachments become ControllerPublishVolume, and deleted ones ControllerUnpublishVolume.

A VolumeAttachment that was ever worked on is always detached before it goes, whatever its status says.
"""

import asyncio
from typing import Final

from csisim.co import volume_requests as requests
from csisim.co.callers import ATTACHER, CallFailed
from csisim.co.driver_info import Controller
from csisim.co.objects import CSINode, Object, PersistentVolume, VolumeAttachment
from csisim.co.process import Process, Shared
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

FINALIZER: Final = "external-attacher/csi"


class Attacher(Process):
    """See the module."""

    def __init__(self, shared: Shared) -> None:
        super().__init__("attacher", shared)
        self._caller = self.caller()
        self._attachments = self.queue("attachment", self._sync)
        self._doubted: dict[str, None] = {}

    async def _main(self) -> None:
        self._driver = await self.driver(ATTACHER, self._caller)
        self.watch(self._changed)
        listing = {Controller.LIST_VOLUMES, Controller.LIST_VOLUMES_PUBLISHED_NODES}
        if listing <= self._driver.controller:
            self.spawn(self._compare_for_ever(), "attacher list")

    def _changed(self, changed: Object, gone: bool) -> None:
        if not isinstance(changed, VolumeAttachment) or gone:
            return
        if changed.deleting:
            self._attachments.add(changed.name)
        else:
            self._attachments.add_fresh(changed.name)

    async def _sync(self, name: str) -> None:
        attachment = self.api.get(VolumeAttachment, name)
        if attachment is None:
            return
        if attachment.deleting:
            await self._detach(attachment)
        elif not attachment.attached or name in self._doubted:
            await self._attach(attachment)
            self._doubted.pop(name, None)

    async def _attach(self, attachment: VolumeAttachment) -> None:
        pv = self.api.get(PersistentVolume, attachment.pv_name)
        if pv is None:
            raise Retry(f"{attachment.ref}: volume {attachment.pv_name} does not exist")
        if Controller.PUBLISH_UNPUBLISH_VOLUME not in self._driver.controller:
            self.api.patch(attachment, attached=True)
            return
        if pv.deleting:
            raise Retry(f"{attachment.ref}: {pv.ref} is being deleted")
        attachment = self.api.add_finalizer(attachment, FINALIZER)
        if attachment.deleting:
            return
        self.api.add_finalizer(pv, FINALIZER)
        multi_writer = Controller.SINGLE_NODE_MULTI_WRITER in self._driver.controller
        request = csi.ControllerPublishVolumeRequest(
            volume_id=pv.volume_handle,
            node_id=self._node_id(attachment),
            volume_capability=requests.of_volume(pv, multi_writer=multi_writer),
            secrets=requests.secret(self.api, pv.secret_refs, "controller-publish"),
            volume_context=pv.volume_attributes,
        )
        method = self._caller.controller.ControllerPublishVolume
        try:
            reply = await self._caller.once(self.timings.role(ATTACHER), method, request, pv.volume_handle)
        except CallFailed as error:
            raise self._failed(attachment, "FailedAttachVolume", error) from error
        found = self.api.get(VolumeAttachment, attachment.name, uid=attachment.uid)
        if found is not None and not found.deleting:
            context = dict(sorted(reply.publish_context.items()))
            self.api.patch(found, attached=True, attachment_metadata=context, error="")

    async def _detach(self, attachment: VolumeAttachment) -> None:
        if FINALIZER not in attachment.finalizers:
            return
        pv = self.api.get(PersistentVolume, attachment.pv_name)
        if pv is not None:  # it is kept by a finalizer; one that was removed by force can only be left alone
            request = csi.ControllerUnpublishVolumeRequest(
                volume_id=pv.volume_handle,
                node_id=self._node_id(attachment),
                secrets=requests.secret(self.api, pv.secret_refs, "controller-publish"),
            )
            method = self._caller.controller.ControllerUnpublishVolume
            try:
                await self._caller.once(self.timings.role(ATTACHER), method, request, pv.volume_handle)
            except CallFailed as error:
                raise self._failed(attachment, "FailedDetachVolume", error) from error
        self.api.patch(attachment, attached=False, finalizers=())
        if pv is not None and not any(each.pv_name == pv.name for each in self.api.all_of(VolumeAttachment)):
            self.api.remove_finalizer(pv, FINALIZER)

    def _failed(self, attachment: VolumeAttachment, reason: str, error: CallFailed) -> Retry:
        found = self.api.get(VolumeAttachment, attachment.name, uid=attachment.uid)
        if found is not None:
            # Without its own change waking it at once: the pause is for errors.
            self.api.event(found, "Warning", reason, str(error))
        return Retry(f"{attachment.ref}: {error}")

    def _node_id(self, attachment: VolumeAttachment) -> str:
        found = self.api.get(CSINode, attachment.node_name)
        if found is None:
            raise Retry(f"{attachment.ref}: the driver is not registered on node {attachment.node_name}")
        return found.node_id

    async def _compare_for_ever(self) -> None:
        """List the volumes now and then; attachments that the driver sees otherwise are worked on once more."""
        while True:
            await asyncio.sleep(self.timings.relist_s)
            before = [each for each in self.api.all_of(VolumeAttachment) if each.attached and not each.deleting]
            try:
                published = await self._published()
            except CallFailed:
                continue
            for each in before:
                pv, node = self.api.get(PersistentVolume, each.pv_name), self.api.get(CSINode, each.node_name)
                listed = None if pv is None else published.get(pv.volume_handle)
                if node is not None and listed is not None and node.node_id not in listed:
                    self._doubted[each.name] = None
                    self._attachments.add(each.name)

    async def _published(self) -> dict[str, list[str]]:
        """Node ids by volume id, over all pages."""
        found: dict[str, list[str]] = {}
        token = ""
        while True:
            request = csi.ListVolumesRequest(max_entries=100, starting_token=token)
            method = self._caller.controller.ListVolumes
            reply = await self._caller.once(self.timings.role(ATTACHER), method, request, "all volumes")
            found |= {each.volume.volume_id: list(each.status.published_node_ids) for each in reply.entries}
            token = reply.next_token
            if not token:
                return found
