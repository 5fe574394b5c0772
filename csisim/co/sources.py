"""What a new volume starts from: whether a snapshot or claim can be used as its source, and what to ask for."""

from collections.abc import Collection
from typing import Final

from csisim.co.api import Api
from csisim.co.driver_info import Controller
from csisim.co.objects import (
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    VolumeSnapshot,
    VolumeSnapshotContent,
)
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

CLONING: Final = "provisioner.storage.kubernetes.io/cloning-protection"


def content_source(
    api: Api, claim: PersistentVolumeClaim, driver: str, controller: Collection[int]
) -> csi.VolumeContentSource | None:
    """The source of a claim's volume; a claim that is cloned is kept from being deleted.

    Args:
        api: objects.
        claim: with or without a data source.
        driver: name of ours.
        controller: what it can do.

    Raises:
        Retry: the source is not ready, or does not fit.
    """
    source = claim.data_source
    if source is None:
        return None
    if source.kind == VolumeSnapshot.kind:
        if Controller.CREATE_DELETE_SNAPSHOT not in controller:
            raise Retry(f"{claim.ref}: the driver has no snapshots")
        return csi.VolumeContentSource(snapshot=_snapshot(api, claim, source.name, driver))
    if Controller.CLONE_VOLUME not in controller:
        raise Retry(f"{claim.ref}: the driver cannot clone volumes")
    return csi.VolumeContentSource(volume=_volume(api, claim, source.name, driver))


def _snapshot(api: Api, claim: PersistentVolumeClaim, name: str, driver: str) -> csi.VolumeContentSource.SnapshotSource:
    snapshot = api.get(VolumeSnapshot, name, claim.namespace)
    if snapshot is None:
        raise Retry(f"error getting snapshot {name}: not found")
    if snapshot.deleting:
        raise Retry(f"snapshot {name} is being deleted")
    content = api.get(VolumeSnapshotContent, snapshot.content_name) if snapshot.content_name else None
    if content is None or not snapshot.ready_to_use:
        raise Retry(f"snapshot {name} is not ready to use")
    if content.driver != driver:
        raise Retry(f"snapshot {name} is of the driver {content.driver}")
    if claim.storage < snapshot.restore_size:
        raise Retry(
            f"requested volume size {claim.storage} is less than the size {snapshot.restore_size} of snapshot {name}"
        )
    return csi.VolumeContentSource.SnapshotSource(snapshot_id=content.snapshot_handle)


def _volume(api: Api, claim: PersistentVolumeClaim, name: str, driver: str) -> csi.VolumeContentSource.VolumeSource:
    found = api.get(PersistentVolumeClaim, name, claim.namespace)
    if found is None or found.deleting:
        raise Retry(f"error getting claim {name} to clone: not found, or being deleted")
    pv = api.get(PersistentVolume, found.volume_name) if found.volume_name else None
    if pv is None or found.phase != "Bound":
        raise Retry(f"claim {name}, which is to be cloned, is not bound")
    storage_class = api.get(StorageClass, claim.storage_class_name)
    if pv.driver != driver or storage_class is None:
        raise Retry(f"claim {name}, which is to be cloned, has a volume of the driver {pv.driver}")
    if found.volume_mode != claim.volume_mode:
        raise Retry(f"claim {name} has the volume mode {found.volume_mode}, and its clone cannot have another")
    if claim.storage < pv.capacity:
        raise Retry(f"requested volume size {claim.storage} is less than the size {pv.capacity} of claim {name}")
    api.add_finalizer(found, CLONING)
    return csi.VolumeContentSource.VolumeSource(volume_id=pv.volume_handle)
