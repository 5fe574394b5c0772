"""Drivers with wrong ideas of unmounting; each change makes one of the shipped driver."""

import asyncio
import errno
from dataclasses import replace
from typing import Any

from csisim.cluster.parts import Parts
from csisim.driver.grpc_types import Context
from csisim.driver.node import NodeService, Presence
from csisim.host import NodeHost
from csisim.pb import csi_pb2 as csi
from csisim.scenarios.wrong_parts import Changed
from csisim.sim.host import SimHost


def to_the_end(parts: Parts) -> Parts:
    """Ends no unmount, whoever has stopped waiting for it."""
    return replace(parts, node=_PersistentNode)


def lazy(parts: Parts) -> Parts:
    """Unmounts what is busy all the same."""
    return replace(parts, host=_with_lazy_mounter)


def absent_where_unpublished(parts: Parts) -> Parts:
    """Unmounts nothing that the NAS has not published on the node."""
    return replace(parts, node=_ObedientNode)


class _PersistentNode(NodeService):
    async def NodeUnpublishVolume(
        self, request: csi.NodeUnpublishVolumeRequest, context: Context
    ) -> csi.NodeUnpublishVolumeResponse:
        """The work is a task of its own."""
        return await asyncio.shield(super().NodeUnpublishVolume(request, context))


class _LazyMounter(Changed):
    """`umount || umount -l`."""

    def __init__(self, host: NodeHost, machine: SimHost) -> None:
        super().__init__(host.mounter)
        self._machine = machine

    async def umount(self, target: str) -> None:
        """The path is free in any case."""
        try:
            await self._whole.umount(target)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            await self._machine.detach(target)


def _with_lazy_mounter(_node_id: str, host: NodeHost, machine: SimHost) -> NodeHost:
    mounter: Any = _LazyMounter(host, machine)
    return replace(host, mounter=mounter)


class _ObedientNode(NodeService):
    async def NodeUnpublishVolume(
        self, request: csi.NodeUnpublishVolumeRequest, context: Context
    ) -> csi.NodeUnpublishVolumeResponse:
        """Only what may be here."""
        if await self._may_be_here(request.volume_id):
            return await super().NodeUnpublishVolume(request, context)
        return csi.NodeUnpublishVolumeResponse()

    async def NodeUnstageVolume(
        self, request: csi.NodeUnstageVolumeRequest, context: Context
    ) -> csi.NodeUnstageVolumeResponse:
        """Only what may be here."""
        if await self._may_be_here(request.volume_id):
            return await super().NodeUnstageVolume(request, context)
        return csi.NodeUnstageVolumeResponse()

    async def _may_be_here(self, volume_id: str) -> bool:
        return await self._volumes.presence(volume_id) is Presence.PUBLISHED
