"""The classes that a cluster has when a script begins: one per protocol, and one for snapshots."""

from collections.abc import Iterable

from csisim.co.objects import Object, StorageClass, VolumeSnapshotClass


def classes(driver: str, protocols: Iterable[str]) -> list[Object]:
    """A StorageClass for each protocol, by its name and the first one by default, and a VolumeSnapshotClass.

    Args:
        driver: its name.
        protocols: nfs, iscsi, nvmeof; none: no classes at all.
    """
    storage: list[Object] = [
        StorageClass(
            name=protocol, provisioner=driver, parameters={"protocol": protocol}, allow_volume_expansion=True,
            is_default=number == 0,
        )
        for number, protocol in enumerate(protocols)
    ]  # fmt: skip
    return [*storage, VolumeSnapshotClass(name="snapshots", driver=driver, is_default=True)] if storage else []
