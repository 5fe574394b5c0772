"""How a claim or volume is described in calls: capabilities, topology, secrets. As csi-lib-utils and kubelet do it."""

import hashlib
import re
from collections.abc import Collection, Mapping

from csisim.co.api import Api
from csisim.co.objects import RWO, RWOP, RWX, CSINode, PersistentVolume, PersistentVolumeClaim, Secret
from csisim.co.workqueue import Retry
from csisim.pb import csi_pb2 as csi

PREFIX = "csi.storage.k8s.io/"
FS_TYPE = f"{PREFIX}fstype"
SECRETS = ("provisioner", "controller-publish", "controller-expand", "node-stage", "node-publish",
           "node-expand")  # fmt: skip
"""Uses of secrets; a class names one by `csi.storage.k8s.io/USE-secret-name` and `-namespace`."""

_Mode = csi.VolumeCapability.AccessMode
_TEMPLATE = re.compile(r"\$\{(pvc\.name|pvc\.namespace|pv\.name)\}")


def access_mode(modes: Collection[str], *, multi_writer: bool) -> "csi.VolumeCapability.AccessMode.Mode.ValueType":
    """The mode for a volume's access modes.

    Args:
        modes: of Kubernetes.
        multi_writer: whether the driver knows the modes that tell one writer on a node from several.
    """
    if RWX in modes:
        return _Mode.MULTI_NODE_MULTI_WRITER
    if RWOP in modes:
        return _Mode.SINGLE_NODE_SINGLE_WRITER if multi_writer else _Mode.SINGLE_NODE_WRITER
    if RWO in modes:
        return _Mode.SINGLE_NODE_MULTI_WRITER if multi_writer else _Mode.SINGLE_NODE_WRITER
    return _Mode.MULTI_NODE_READER_ONLY


def capability(
    about: PersistentVolume | PersistentVolumeClaim,
    *,
    multi_writer: bool,
    fs_type: str = "",
    mount_flags: Collection[str] = (),
    mount_group: str = "",
) -> csi.VolumeCapability:
    """How the volume is to be used."""
    access = _Mode(mode=access_mode(about.access_modes, multi_writer=multi_writer))
    if about.volume_mode == "Block":
        return csi.VolumeCapability(block=csi.VolumeCapability.BlockVolume(), access_mode=access)
    mount = csi.VolumeCapability.MountVolume(
        fs_type=fs_type, mount_flags=list(mount_flags), volume_mount_group=mount_group
    )
    return csi.VolumeCapability(mount=mount, access_mode=access)


def of_volume(pv: PersistentVolume, *, multi_writer: bool, mount_group: str = "") -> csi.VolumeCapability:
    """How an existing volume is used."""
    return capability(
        pv, multi_writer=multi_writer, fs_type=pv.fs_type, mount_flags=pv.mount_options, mount_group=mount_group
    )


def plain_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Class parameters without those that are for the sidecars."""
    return {key: value for key, value in sorted(parameters.items()) if not key.startswith(PREFIX)}


def secret_refs(
    parameters: Mapping[str, str], claim: PersistentVolumeClaim, pv_name: str
) -> dict[str, tuple[str, str]]:
    """Which secret is for which use: namespace and name."""
    values = {"pvc.name": claim.name, "pvc.namespace": claim.namespace, "pv.name": pv_name}

    def filled(text: str) -> str:
        return _TEMPLATE.sub(lambda match: values[match[1]], text)

    found = {}
    for use in SECRETS:
        name = parameters.get(f"{PREFIX}{use}-secret-name", "")
        if name:
            found[use] = filled(parameters.get(f"{PREFIX}{use}-secret-namespace", "default")), filled(name)
    return found


def secret(api: Api, refs: Mapping[str, tuple[str, str]], use: str) -> dict[str, str]:
    """What the secret for this use holds.

    Raises:
        Retry: it is not there.
    """
    if use not in refs:
        return {}
    namespace, name = refs[use]
    found = api.get(Secret, name, namespace)
    if found is None:
        raise Retry(f"secret {namespace}/{name}, which is for {use}, does not exist")
    return dict(found.data)


def topology(nodes: Collection[CSINode], claim_name: str, selected: str = "") -> csi.TopologyRequirement | None:
    """Where a volume may be, and would best be: near the selected node, else spread by the claim's name."""
    distinct = sorted({tuple(sorted(node.topology.items())) for node in nodes if node.topology})
    if not distinct:
        return None
    near = next((tuple(sorted(node.topology.items())) for node in nodes if node.name == selected), None)
    first = distinct.index(near) if near in distinct else int(hashlib.sha256(claim_name.encode()).hexdigest(), 16)
    first %= len(distinct)
    preferred = distinct[first:] + distinct[:first]
    return csi.TopologyRequirement(
        requisite=[csi.Topology(segments=dict(each)) for each in distinct],
        preferred=[csi.Topology(segments=dict(each)) for each in preferred],
    )


def reachable(pv: PersistentVolume, node: CSINode) -> bool:
    """Whether a node is where the volume can be used."""
    return not pv.node_affinity or any(
        all(node.topology.get(key) == value for key, value in terms.items()) for terms in pv.node_affinity
    )
