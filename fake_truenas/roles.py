"""Roles: what an account may do, and which role a method or an event asks for (TrueNAS API 25.10). Pure.

The table follows the real server's: a namespace has a prefix, such as DATASET, and a method needs `<prefix>_READ` or
`<prefix>_WRITE` by its last word; deleting datasets and snapshots has a role of its own. What is not in the table is
for FULL_ADMIN only.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

FULL_ADMIN: Final = "FULL_ADMIN"

_PAIRS = (
    "ACCOUNT", "ALERT_LIST", "API_KEY", "AUTH_SESSIONS", "DATASET", "DISK", "FILESYSTEM_ATTRS", "FILESYSTEM_DATA",
    "KEYCHAIN_CREDENTIAL", "NETWORK_GENERAL", "NETWORK_INTERFACE", "POOL_SCRUB", "REPLICATION_TASK_CONFIG",
    "REPLICATION_TASK", "REPORTING", "SHARING_ISCSI_AUTH", "SHARING_ISCSI_EXTENT", "SHARING_ISCSI_GLOBAL",
    "SHARING_ISCSI_HOST", "SHARING_ISCSI_INITIATOR", "SHARING_ISCSI_PORTAL", "SHARING_ISCSI_TARGET",
    "SHARING_ISCSI_TARGETEXTENT", "SHARING_NFS", "SHARING_NVME_TARGET", "SHARING_SMB", "SNAPSHOT", "SNAPSHOT_TASK",
    "SYSTEM_ADVANCED", "SYSTEM_GENERAL", "SYSTEM_PRODUCT",
)  # fmt: skip
_ISCSI = tuple(name for name in _PAIRS if name.startswith("SHARING_ISCSI_"))


def _all_roles() -> dict[str, tuple[str, ...]]:
    roles: dict[str, tuple[str, ...]] = {}
    for name in _PAIRS:
        roles[f"{name}_READ"] = ()
        roles[f"{name}_WRITE"] = (f"{name}_READ",)
    roles |= {
        "DATASET_DELETE": (),
        "SNAPSHOT_DELETE": (),
        "SERVICE_READ": (),
        "SERVICE_WRITE": (),
        "ZFS_RESOURCE_READ": (),
        "POOL_READ": ("POOL_SCRUB_READ",),
        "POOL_WRITE": ("POOL_READ", "POOL_SCRUB_WRITE"),
        "FILESYSTEM_FULL_CONTROL": ("FILESYSTEM_ATTRS_WRITE", "FILESYSTEM_DATA_WRITE"),
    }
    for verb in ("READ", "WRITE"):
        roles[f"SHARING_ISCSI_{verb}"] = tuple(f"{name}_{verb}" for name in _ISCSI)
        kinds = ("ISCSI", "NFS", "NVME_TARGET", "SMB")
        roles[f"SHARING_{verb}"] = tuple(f"SHARING_{kind}_{verb}" for kind in kinds)
    roles["READONLY_ADMIN"] = tuple(name for name in roles if name.endswith("_READ"))
    roles["SHARING_ADMIN"] = (
        "READONLY_ADMIN", "DATASET_WRITE", "SHARING_WRITE", "FILESYSTEM_ATTRS_WRITE", "SERVICE_READ",
    )  # fmt: skip
    roles["REPLICATION_ADMIN"] = (
        "KEYCHAIN_CREDENTIAL_WRITE", "REPLICATION_TASK_CONFIG_WRITE", "REPLICATION_TASK_WRITE",
        "SNAPSHOT_TASK_WRITE", "SNAPSHOT_WRITE",
    )  # fmt: skip
    roles[FULL_ADMIN] = tuple(roles)
    return roles


ROLES: Final = _all_roles()
"""Every role by name, with the ones it includes."""

_PREFIXES = (
    ("disk", "DISK"),
    ("pool.dataset", "DATASET"),
    ("pool.snapshottask", "SNAPSHOT_TASK"),
    ("pool.snapshot", "SNAPSHOT"),
    ("pool.scrub", "POOL_SCRUB"),
    ("pool", "POOL"),
    ("zfs.snapshot", "SNAPSHOT"),
    ("zfs.resource.snapshot", "SNAPSHOT"),
    ("replication.config", "REPLICATION_TASK_CONFIG"),
    ("replication", "REPLICATION_TASK"),
    ("sharing.nfs", "SHARING_NFS"),
    ("nfs", "SHARING_NFS"),
    ("sharing.smb", "SHARING_SMB"),
    ("smb", "SHARING_SMB"),
    *((f"iscsi.{name.removeprefix('SHARING_ISCSI_').lower()}", name) for name in _ISCSI),
    ("nvmet", "SHARING_NVME_TARGET"),
    ("api_key", "API_KEY"),
    ("reporting", "REPORTING"),
)
"""Longest first where one begins with another."""

_READS = re.compile(
    r"query|get_\w+|config|\w*(?:choices|presets|enabled|count|sessions|details|attachments|processes|getacl|validate_\w+)"
    r"|count|share_precheck|generate_key"
)
_SERVICES = (
    "SERVICE_WRITE", "SHARING_NFS_WRITE", "SHARING_SMB_WRITE", "SHARING_ISCSI_WRITE", "SHARING_NVME_TARGET_WRITE",
)  # fmt: skip
_PRODUCT = ("READONLY_ADMIN", "SYSTEM_PRODUCT_READ")
_ANYBODY: tuple[str, ...] = ()
_EXCEPTIONS: Final[dict[str, tuple[str, ...]]] = {
    f"{namespace}.{verb}": roles
    for namespace, verbs, roles in (
        ("auth", "generate_token logout me set_attribute", _ANYBODY),
        ("auth", "sessions", ("AUTH_SESSIONS_READ",)),
        ("auth", "terminate_session terminate_other_sessions", ("AUTH_SESSIONS_WRITE",)),
        # Whose keys they may touch is asked in the method.
        ("api_key", "create update delete", ("READONLY_ADMIN", "API_KEY_WRITE")),
        ("api_key", "my_keys", ("READONLY_ADMIN", "API_KEY_READ")),
        ("pool.dataset", "delete destroy_snapshots", ("DATASET_DELETE",)),
        ("pool.snapshot", "delete", ("SNAPSHOT_DELETE",)),
        ("zfs.snapshot", "delete", ("SNAPSHOT_DELETE",)),
        ("zfs.resource.snapshot", "destroy", ("SNAPSHOT_DELETE",)),
        ("zfs.resource", "query", ("ZFS_RESOURCE_READ",)),
        ("filesystem", "stat statfs getacl listdir", ("FILESYSTEM_ATTRS_READ",)),
        ("filesystem", "setacl setperm chown", ("FILESYSTEM_ATTRS_WRITE",)),
        ("filesystem", "mkdir", ("FILESYSTEM_DATA_WRITE",)),
        ("service", "query get_instance started started_or_enabled", ("SERVICE_READ",)),
        ("service", "control start stop restart reload update", _SERVICES),
        ("system", "info version version_short product_type hostname host_id", _PRODUCT),
    )
    for verb in verbs.split()
}


def expand(roles: Iterable[str]) -> frozenset[str]:
    """The roles and all that they include.

    Raises:
        ValueError: one of them does not exist.
    """
    return _expand(tuple(roles))


@lru_cache(maxsize=256)
def _expand(roles: tuple[str, ...]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        name = waiting.pop()
        if name not in ROLES:
            raise ValueError(
                f"role {name!r} does not exist: FULL_ADMIN, READONLY_ADMIN, SHARING_ADMIN, DATASET_READ ..."
            )
        if name not in found:
            found.add(name)
            waiting.extend(ROLES[name])
    return frozenset(found)


@lru_cache(maxsize=1024)  # events may have any name
def needed(method: str) -> tuple[str, ...] | None:
    """The roles of which one is enough to call a method; none at all if every login may, None for FULL_ADMIN only."""
    if method in _EXCEPTIONS:
        return _EXCEPTIONS[method]
    namespace, _, verb = method.rpartition(".")
    if namespace == "core":
        return _ANYBODY  # what jobs, bulk calls and subscriptions lead to is asked for itself
    for name, prefix in _PREFIXES:
        if namespace == name or namespace.startswith(f"{name}."):
            return (f"{prefix}_{'READ' if _READS.fullmatch(verb) else 'WRITE'}",)
    return None


def may_call(roles: frozenset[str], method: str) -> bool:
    """Whether an account with these roles, expanded, may call a method."""
    if FULL_ADMIN in roles:
        return True
    wanted = needed(method)
    return wanted is not None and (not wanted or not roles.isdisjoint(wanted))


def may_subscribe(roles: frozenset[str], event: str) -> bool:
    """Whether an account with these roles, expanded, may listen to an event such as `pool.dataset.query`.

    Events of a method are for those who may call it. The sessions, and everything ("*"), are for FULL_ADMIN only.
    """
    name = event.partition(":")[0]
    if name == "auth.sessions":
        return FULL_ADMIN in roles
    if name == "reporting.realtime":
        return "REPORTING_READ" in roles
    return may_call(roles, name)
