"""What each kind of manifest may say, and the object that it becomes."""

import base64
import binascii
from typing import Any, Final, cast

from csisim.co.fields import Fields
from csisim.co.objects import (
    ACCESS_MODES,
    RWOP,
    DataSource,
    PersistentVolumeClaim,
    Pod,
    PodVolume,
    Secret,
    StatefulSet,
    StorageClass,
    VolumeAttributesClass,
    VolumeSnapshot,
    VolumeSnapshotClass,
)
from csisim.co.volume_requests import PREFIX, SECRETS

_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_SNAPSHOT_CLASS: Final = "snapshot.storage.kubernetes.io/is-default-class"
_SNAPSHOT_GROUP: Final = "snapshot.storage.k8s.io"
_SOURCES: Final = {"VolumeSnapshot": _SNAPSHOT_GROUP, "PersistentVolumeClaim": ""}
_LATE: Final = ("Immediate", "WaitForFirstConsumer")
_POLICIES: Final = ("Delete", "Retain")
_HOSTNAME: Final = "kubernetes.io/hostname"
_SECRET_USES: Final = (*SECRETS, "snapshotter", "snapshotter-list")
_OF_SIDECARS: Final = (
    f"{PREFIX}fstype",
    *(f"{PREFIX}{use}-secret-{part}" for use in _SECRET_USES for part in ("name", "namespace")),
)


def _metadata(fields: Fields, *, namespaced: bool) -> dict[str, Any]:
    metadata = fields.below("metadata", required=True)
    if not namespaced:
        return {"name": metadata.name("name")}
    return {"name": metadata.name("name"), "namespace": metadata.label("namespace", "default")}


def _is_default(fields: Fields, annotation: str) -> bool:
    annotations = fields.below("metadata").below("annotations")
    return annotations.text(annotation, "false") == "true"


def _parameters(fields: Fields) -> dict[str, str]:
    found = fields.texts("parameters")
    below = fields.below("parameters")
    for key in found:
        if not key.startswith(PREFIX):
            continue
        if key not in _OF_SIDECARS:
            raise below.error(key, f"is not a parameter of the sidecars; known are {', '.join(_OF_SIDECARS)}")
        if key.endswith("-secret-name") and f"{key[:-5]}-namespace" not in found:
            raise below.error(key, f"needs {key[:-5]}-namespace beside it")
    return found


def storage_class(fields: Fields) -> StorageClass:
    """StorageClass."""
    fields.only("apiVersion", "kind", "metadata", "provisioner", "parameters", "reclaimPolicy", "volumeBindingMode",
                "allowVolumeExpansion", "mountOptions", "allowedTopologies")  # fmt: skip
    if fields.has("allowedTopologies"):
        raise fields.error("allowedTopologies", "is not modelled; leave it out")
    return StorageClass(
        **_metadata(fields, namespaced=False),
        provisioner=fields.text("provisioner"),
        parameters=_parameters(fields),
        reclaim_policy=cast("Any", fields.one_of("reclaimPolicy", _POLICIES, "Delete")),
        volume_binding_mode=cast("Any", fields.one_of("volumeBindingMode", _LATE, "Immediate")),
        allow_volume_expansion=fields.flag("allowVolumeExpansion"),
        mount_options=fields.words("mountOptions"),
        is_default=_is_default(fields, DEFAULT_CLASS),
    )


def volume_attributes_class(fields: Fields) -> VolumeAttributesClass:
    """VolumeAttributesClass."""
    fields.only("apiVersion", "kind", "metadata", "driverName", "parameters")
    return VolumeAttributesClass(
        **_metadata(fields, namespaced=False), driver_name=fields.text("driverName"), parameters=_parameters(fields)
    )


def snapshot_class(fields: Fields) -> VolumeSnapshotClass:
    """VolumeSnapshotClass."""
    fields.only("apiVersion", "kind", "metadata", "driver", "deletionPolicy", "parameters")
    return VolumeSnapshotClass(
        **_metadata(fields, namespaced=False),
        driver=fields.text("driver"),
        deletion_policy=cast("Any", fields.one_of("deletionPolicy", _POLICIES)),
        parameters=_parameters(fields),
        is_default=_is_default(fields, _DEFAULT_SNAPSHOT_CLASS),
    )


def snapshot(fields: Fields) -> VolumeSnapshot:
    """VolumeSnapshot of a claim."""
    fields.only(*_TOP)
    spec = fields.below("spec", required=True)
    spec.only("volumeSnapshotClassName", "source")
    source = spec.below("source", required=True)
    if source.has("volumeSnapshotContentName"):
        raise source.error("volumeSnapshotContentName", "existing snapshots are not modelled; use a claim")
    source.only("persistentVolumeClaimName")
    return VolumeSnapshot(
        **_metadata(fields, namespaced=True),
        volume_snapshot_class_name=spec.name("volumeSnapshotClassName", ""),
        source_claim_name=source.name("persistentVolumeClaimName"),
    )


def secret(fields: Fields) -> Secret:
    """Secret; no error ever shows a value."""
    fields.only("apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable")
    data = {}
    encoded = fields.below("data")
    for key, value in encoded.value.items():
        try:
            data[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
            raise encoded.error(key, "is not base64 of UTF-8 text") from None
    plain = fields.below("stringData")
    for key, value in plain.value.items():
        if not isinstance(value, str):
            raise plain.error(key, "is not a text; put it in quotes")
        data[key] = value
    return Secret(**_metadata(fields, namespaced=True), data=data)


def claim(fields: Fields) -> PersistentVolumeClaim:
    """PersistentVolumeClaim."""
    fields.only(*_TOP)
    metadata = _metadata(fields, namespaced=True)
    spec = fields.below("spec", required=True)
    spec.only("storageClassName", "accessModes", "volumeMode", "resources", "dataSource", "dataSourceRef",
              "volumeAttributesClassName", "volumeName", "selector")  # fmt: skip
    for name in ("volumeName", "selector"):
        if spec.has(name):
            raise spec.error(name, "existing volumes are not modelled; leave it out, and one is provisioned")
    resources = spec.below("resources", required=True)
    resources.only("requests", "limits")
    modes = spec.words("accessModes", ACCESS_MODES)
    if not modes:
        raise spec.error("accessModes", f"is required; name at least one of {', '.join(ACCESS_MODES)}")
    if RWOP in modes and len(modes) > 1:
        raise spec.error("accessModes", f"{RWOP} goes with no other mode")
    return PersistentVolumeClaim(
        **metadata,
        storage_class_name=spec.name("storageClassName", ""),
        access_modes=modes,
        volume_mode=cast("Any", spec.one_of("volumeMode", ("Filesystem", "Block"), "Filesystem")),
        storage=resources.below("requests", required=True).size("storage"),
        data_source=_source(spec, metadata["namespace"]),
        volume_attributes_class_name=spec.name("volumeAttributesClassName", ""),
    )


def _source(spec: Fields, namespace: str) -> DataSource | None:
    found = []
    for name in ("dataSource", "dataSourceRef"):
        if not spec.has(name):
            continue
        source = spec.below(name)
        source.only("apiGroup", "kind", "name", "namespace")
        kind = source.one_of("kind", tuple(_SOURCES))
        group = source.text("apiGroup", "")
        if group != _SOURCES[kind]:
            raise source.error("apiGroup", f"{group!r} has no {kind}; it is of {_SOURCES[kind]!r}")
        if source.text("namespace", namespace) != namespace:
            raise source.error("namespace", "sources in other namespaces are not modelled")
        found.append(DataSource(cast("Any", kind), source.name("name")))
    if len(set(found)) > 1:
        raise spec.error("dataSourceRef", "differs from dataSource; give one of them")
    return found[0] if found else None


def pod(fields: Fields) -> Pod:
    """Pod; of its spec what concerns volumes and where it runs."""
    fields.only(*_TOP)
    return _pod(fields.below("spec", required=True), _metadata(fields, namespaced=True))


def _pod(spec: Fields, metadata: dict[str, Any]) -> Pod:
    volumes = [volume for volume in spec.items("volumes", _volume) if volume is not None]
    selector = spec.texts("nodeSelector")
    for key in selector:
        if key != _HOSTNAME:
            raise spec.below("nodeSelector").error(key, f"nodes have no such label here; use {_HOSTNAME}")
    if spec.has("nodeName"):
        selector[_HOSTNAME] = spec.name("nodeName")
    group = spec.below("securityContext").value.get("fsGroup")
    if group is not None and (not isinstance(group, int) or isinstance(group, bool) or group < 0):
        raise spec.below("securityContext").error("fsGroup", f"{group!r} is not a group id")
    names = [volume.name for volume in volumes]
    for each in names:
        if names.count(each) > 1:
            raise spec.error("volumes", f"{each!r} is there twice")
    return Pod(**metadata, volumes=tuple(volumes), node_selector=selector, fs_group="" if group is None else str(group))


def _volume(where: str, value: Any, path: str) -> PodVolume | None:
    fields = Fields(where, value, path)
    name = fields.name("name")
    if fields.has("ephemeral") or fields.has("csi"):
        raise fields.error("ephemeral" if fields.has("ephemeral") else "csi", "is not modelled; use a claim")
    if not fields.has("persistentVolumeClaim"):
        return None
    source = fields.below("persistentVolumeClaim")
    source.only("claimName", "readOnly")
    return PodVolume(name, source.name("claimName"), source.flag("readOnly"))


def stateful_set(fields: Fields) -> StatefulSet:
    """StatefulSet: its pods and their claims."""
    fields.only(*_TOP)
    metadata = _metadata(fields, namespaced=True)
    spec = fields.below("spec", required=True)
    policy = spec.one_of("podManagementPolicy", ("OrderedReady", "Parallel"), "OrderedReady")
    templates = spec.items("volumeClaimTemplates", _claim_template)
    template = _pod(spec.below("template", required=True).below("spec", required=True), {"name": metadata["name"]})
    names = {each.name: None for each in templates}
    # What a template makes is mounted under the template's name, without being listed among the volumes.
    own = tuple(PodVolume(name, name) for name in names)
    volumes = tuple(volume for volume in template.volumes if volume.name not in names)
    return StatefulSet(
        **metadata,
        replicas=spec.number("replicas", 1, 100),
        template=Pod(
            name=template.name,
            volumes=(*own, *volumes),
            node_selector=template.node_selector,
            fs_group=template.fs_group,
        ),
        volume_claim_templates=tuple(templates),
        parallel=policy == "Parallel",
    )


def _claim_template(where: str, value: Any, path: str) -> PersistentVolumeClaim:
    fields = Fields(where, value, path)
    if fields.has("kind") and fields.text("kind") != "PersistentVolumeClaim":
        raise fields.error("kind", f"{fields.text('kind')!r} is not PersistentVolumeClaim")
    return claim(fields)
