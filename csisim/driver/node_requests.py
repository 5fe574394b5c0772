"""Node requests to checked plain data; pure. What does not hold raises InvalidArgument naming the field."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from csisim.driver.node_state import Attachment, Published
from csisim.driver.parameters import Protocol
from csisim.driver.requests import (
    PATH_BYTES,
    AccessType,
    Capability,
    CapacityRange,
    capacity_range,
    require,
    required_capability,
    secrets,
    string_map,
)
from csisim.errors import InvalidArgument
from csisim.pb import csi_pb2 as pb

# Options that would make it another system call.
_FORBIDDEN_FLAGS = frozenset({"bind", "rbind", "move", "remount"})
_GROUP = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,127}")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_PORTAL = re.compile(rf"(?:{_HOST.pattern.partition('|')[0]}|\[[0-9A-Fa-f:.]+\]):[0-9]{{1,5}}")
_SHARE = re.compile(r"(?:/[^/\s\x00-\x1f]+)+")
_QUALIFIED = re.compile(r"(?:iqn|eui|naa|nqn)\.[^\s/\x00-\x1f]{1,219}")
_NUMBER = re.compile(r"[0-9]{1,10}")

_ADDRESS: Mapping[Protocol, Mapping[str, Callable[[str], bool]]] = {
    Protocol.NFS: {
        "server": lambda text: bool(_HOST.fullmatch(text)),
        "share": lambda text: bool(_SHARE.fullmatch(text)) and ".." not in text.split("/"),
    },
    Protocol.ISCSI: {
        "portal": lambda text: bool(_PORTAL.fullmatch(text)),
        "iqn": lambda text: bool(_QUALIFIED.fullmatch(text)),
        "lun": lambda text: bool(_NUMBER.fullmatch(text)) and int(text) <= 16383,
    },
    Protocol.NVMEOF: {
        "address": lambda text: bool(_HOST.fullmatch(text)),
        "port": lambda text: bool(_NUMBER.fullmatch(text)) and 0 < int(text) <= 65535,
        "nqn": lambda text: bool(_QUALIFIED.fullmatch(text)),
        "nsid": lambda text: bool(_NUMBER.fullmatch(text)) and int(text) > 0,
    },
}
_CREDENTIALS = ("node.session.auth.username", "node.session.auth.password")


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """NodePublishVolumeRequest.

    Attributes:
        staging_path: "" where the caller gave none.
        wanted: what is to be at the target path.
        attached_readonly: ControllerPublishVolume let this node read only.
    """

    volume_id: str
    staging_path: str
    wanted: Published
    attached_readonly: bool = False


@dataclass(frozen=True, slots=True)
class VolumePath:
    """A volume and a path where it may or may not be: `path` is compared, never opened."""

    volume_id: str
    path: str


def path(value: str, field: str) -> str:
    """A path to act on: absolute, without `..`, in normal form.

    Raises:
        InvalidArgument: that does not hold, or it is the root directory.
    """
    require(value, field, PATH_BYTES)
    if not value.startswith("/"):
        raise InvalidArgument(f"{field}: {value!r} is not absolute")
    if ".." in value.split("/"):
        raise InvalidArgument(f"{field}: {value!r} leads out of a directory by `..`")
    normal = normal_path(value)
    if normal == "/":
        raise InvalidArgument(f"{field}: the root directory cannot be used")
    return normal


def normal_path(value: str) -> str:
    """Without doubled or trailing slashes and `.`; links are not followed."""
    return posixpath.normpath(re.sub(r"/{2,}", "/", value))


def mount_capability(message: pb.VolumeCapability, *, present: bool) -> Capability:
    """The capability of a stage or publish request, with its mount flags split at commas."""
    capability = required_capability(message, present=present)
    if capability.access_type is AccessType.BLOCK:
        return capability
    flags = tuple(flag for given in capability.mount_flags for flag in given.split(",") if flag)
    if _FORBIDDEN_FLAGS.intersection(flags):
        raise InvalidArgument(f"mount_flags: none of {', '.join(sorted(_FORBIDDEN_FLAGS))} can be used")
    if {"ro", "rw"} <= set(flags):
        raise InvalidArgument("mount_flags: ro and rw exclude each other")
    if capability.mount_group and not _GROUP.fullmatch(capability.mount_group):
        raise InvalidArgument("volume_mount_group: not a group id or name")
    return Capability(
        capability.access_type, capability.mode, capability.fs_type, tuple(dict.fromkeys(flags)), capability.mount_group
    )


def attachment(context: Mapping[str, str]) -> Attachment:
    """The address in a volume context; keys that are not ours are ignored."""
    known = ", ".join(Protocol)
    given = context.get("protocol", "")
    if given not in tuple(Protocol):
        raise InvalidArgument(
            f"volume_context: protocol {given!r} is not one of {known}; pass what CreateVolume returned"
        )
    protocol = Protocol(given)
    attributes = {}
    for key, is_valid in _ADDRESS[protocol].items():
        value = context.get(key, "")
        if not is_valid(value):
            raise InvalidArgument(f"volume_context: {key} {value!r} is not valid; pass what CreateVolume returned")
        attributes[key] = value
    return Attachment(protocol, attributes)


def source_of(given: Attachment) -> str:
    """What the mount table will show for it; "" for a block device, whose path the host decides."""
    if given.protocol is not Protocol.NFS:
        return ""
    server = given.attributes["server"]
    return f"[{server}]:{given.attributes['share']}" if ":" in server else f"{server}:{given.attributes['share']}"


def credentials(values: Mapping[str, str]) -> dict[str, str]:
    """The CHAP credentials among the secrets; never stored, never logged."""
    return {key: values[key] for key in _CREDENTIALS if key in values}


def attached_readonly(context: Mapping[str, str]) -> bool:
    """Whether the publish context says that this node may only read; without a word about it, it may write too."""
    given = context.get("readonly", "false")
    if given not in ("true", "false"):
        raise InvalidArgument(
            f"publish_context: readonly {given!r} is neither true nor false; pass what ControllerPublishVolume returned"
        )
    return given == "true"


def check_stage(request: pb.NodeStageVolumeRequest) -> tuple[str, str, Capability]:
    """Volume id, staging path and capability; the volume context is `attachment`'s."""
    volume_id = require(request.volume_id, "volume_id")
    staging_path = path(request.staging_target_path, "staging_target_path")
    capability = mount_capability(request.volume_capability, present=request.HasField("volume_capability"))
    string_map(request.publish_context, "publish_context")
    string_map(request.volume_context, "volume_context")
    secrets(request.secrets)
    return volume_id, staging_path, capability


def check_publish(request: pb.NodePublishVolumeRequest) -> PublishRequest:
    """The whole request; an absent staging path is the caller's broken order, not a malformed field."""
    volume_id = require(request.volume_id, "volume_id")
    target_path = path(request.target_path, "target_path")
    capability = mount_capability(request.volume_capability, present=request.HasField("volume_capability"))
    string_map(request.publish_context, "publish_context")
    string_map(request.volume_context, "volume_context")
    secrets(request.secrets)
    given = request.staging_target_path
    staging_path = path(given, "staging_target_path") if given else ""
    if staging_path and _inside(target_path, staging_path):
        raise InvalidArgument(f"target_path: {target_path} lies in the staging path {staging_path}")
    if staging_path and _inside(staging_path, target_path):
        raise InvalidArgument(f"target_path: {target_path} holds the staging path {staging_path}")
    wanted = Published(target_path, capability, request.readonly)
    return PublishRequest(volume_id, staging_path, wanted, attached_readonly(request.publish_context))


def check_volume_path(volume_id: str, volume_path: str, field: str = "volume_path") -> VolumePath:
    """A volume and where it is said to be; any path is fine, it is only compared."""
    return VolumePath(require(volume_id, "volume_id"), normal_path(require(volume_path, field, PATH_BYTES)))


def check_expand(request: pb.NodeExpandVolumeRequest) -> tuple[VolumePath, CapacityRange, Capability | None]:
    """Volume, path, the sizes asked for, and the capability where one was given."""
    where = check_volume_path(request.volume_id, request.volume_path)
    secrets(request.secrets)
    if request.staging_target_path:
        path(request.staging_target_path, "staging_target_path")
    size = capacity_range(request.capacity_range, present=request.HasField("capacity_range"))
    given = request.HasField("volume_capability")
    capability = mount_capability(request.volume_capability, present=True) if given else None
    return where, size, capability


def _inside(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")
