"""StorageClass and VolumeAttributesClass parameters: what may be asked for, and what it means to ZFS; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from csisim.driver.requests import AccessType, Capability
from csisim.errors import InvalidArgument


class Protocol(StrEnum):
    """How nodes reach a volume."""

    NFS = "nfs"
    ISCSI = "iscsi"
    NVMEOF = "nvmeof"

    @property
    def is_block(self) -> bool:
        """Whether the volume is a zvol behind a block device, as opposed to a shared file system."""
        return self is not Protocol.NFS


# The external-provisioner adds these when started with --extra-create-metadata, and fsType from the StorageClass.
_IGNORED_PREFIX = "csi.storage.k8s.io/"
_COMPRESSION = ("off", "on", "lz4", "zstd", "zstd-fast", "gzip", "gzip-1", "gzip-9", "zle", "lzjb")
_SYNC = ("standard", "always", "disabled")
_COMMENT_LENGTH = 256
LOCAL_FILE_SYSTEMS = ("ext3", "ext4", "xfs")
MUTABLE_KEYS = ("comments", "compression", "sync")


@dataclass(frozen=True, slots=True)
class VolumeParameters:
    """Checked StorageClass parameters.

    Attributes:
        protocol: chosen or default: nfs, or iscsi where a raw block device is asked for.
        thin: no space is reserved for a zvol.
    """

    protocol: Protocol
    thin: bool = True

    def summary(self) -> str:
        """What a repeated CreateVolume is compared by."""
        return f"{self.protocol} {'thin' if self.thin else 'thick'}"


def volume_parameters(parameters: Mapping[str, str], capabilities: Sequence[Capability]) -> VolumeParameters:
    """Check StorageClass parameters against what the workload wants to do.

    Raises:
        InvalidArgument: an unknown key or value, or capabilities that the protocol cannot give.
    """
    default = VolumeParameters(_default_protocol(capabilities))
    chosen = _applied(parameters, default)
    if problem := unsupported(chosen.protocol, capabilities):
        raise InvalidArgument(f"volume_capabilities: {problem}")
    return chosen


def unlike(parameters: Mapping[str, str], protocol: Protocol, summary: str) -> str:
    """Why a volume was not made with these StorageClass parameters, of which some may be left out; "" where it was.

    Args:
        parameters: as a caller gives them.
        protocol: of the volume.
        summary: of the parameters that the volume was made with.
    """
    made = VolumeParameters(protocol, thin=not summary.endswith(" thick"))
    try:
        asked = _applied(parameters, made)
    except InvalidArgument as error:
        return str(error)
    return "" if asked == made else f"the volume was made as {made.summary()}, not as {asked.summary()}"


def _applied(parameters: Mapping[str, str], default: VolumeParameters) -> VolumeParameters:
    """The parameters, with the default for those that are not given."""
    protocol, thin = default.protocol, default.thin
    for key, value in parameters.items():
        if key.startswith(_IGNORED_PREFIX):
            continue
        if key == "protocol":
            protocol = Protocol(_one_of(key, value, tuple(Protocol)))
        elif key == "provisioning":
            thin = _one_of(key, value, ("thin", "thick")) == "thin"
        else:
            raise InvalidArgument(f"parameters: unknown key {key!r}; known are protocol, provisioning")
    return VolumeParameters(protocol, thin)


def _default_protocol(capabilities: Sequence[Capability]) -> Protocol:
    wants_block = any(each.access_type is AccessType.BLOCK for each in capabilities)
    return Protocol.ISCSI if wants_block else Protocol.NFS


def unsupported(protocol: Protocol, capabilities: Sequence[Capability]) -> str:
    """Why a volume of this protocol cannot serve the capabilities; "" where it can."""
    for each in capabilities:
        if each.access_type is AccessType.BLOCK:
            if not protocol.is_block:
                return f"{protocol} volumes have no block device; use iscsi or nvmeof"
        elif protocol.is_block:
            # A local file system on a shared device is corrupted by a second writer.
            if each.multi_node and not each.read_only:
                return f"{each} on {protocol} would mount one file system read-write on several nodes; use nfs or block"
            if each.fs_type not in ("", *LOCAL_FILE_SYSTEMS):
                return f"fs_type {each.fs_type!r} is not supported on {protocol}; use {', '.join(LOCAL_FILE_SYSTEMS)}"
        # A StorageClass's or provisioner's default fstype reaches nfs volumes too, where it means nothing.
        elif each.fs_type not in ("", "nfs", "nfs4", *LOCAL_FILE_SYSTEMS):
            return f"fs_type {each.fs_type!r} is not known; leave it empty for nfs"
    return ""


def mutable_parameters(parameters: Mapping[str, str]) -> dict[str, str]:
    """Check VolumeAttributesClass parameters; returns dataset properties as the NAS spells them.

    Raises:
        InvalidArgument: an unknown key or value; nothing is applied then.
    """
    properties: dict[str, str] = {}
    for key, value in parameters.items():
        match key:
            case "compression":
                properties[key] = _one_of(key, value, _COMPRESSION).upper()
            case "sync":
                properties[key] = _one_of(key, value, _SYNC).upper()
            case "comments":
                if len(value) > _COMMENT_LENGTH or not value.isprintable():
                    raise InvalidArgument(f"mutable_parameters: comments takes {_COMMENT_LENGTH} printable characters")
                properties[key] = value
            case _:
                known = ", ".join(MUTABLE_KEYS)
                raise InvalidArgument(f"mutable_parameters: unknown key {key!r}; known are {known}")
    return properties


def not_in_force(parameters: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Why a volume with these settings is not one with these VolumeAttributesClass parameters; "" where it is."""
    try:
        wanted = mutable_parameters(parameters)
    except InvalidArgument as error:
        return str(error)
    differing = [key for key, value in wanted.items() if settings.get(key) != value]
    return "; ".join(f"{key} is {settings.get(key) or 'not set'}, not {wanted[key]}" for key in differing)


def _one_of(key: str, value: str, allowed: Sequence[str]) -> str:
    lower = value.lower()
    if lower not in allowed:
        raise InvalidArgument(f"{key}: {value!r} is not one of {', '.join(allowed)}")
    return lower
