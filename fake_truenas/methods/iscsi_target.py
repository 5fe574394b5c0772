"""iscsi.target.* and iscsi.targetextent.*: what initiators log in to, and which LUN shows what (TrueNAS API 25.10)."""

import ipaddress
from typing import Any

from fake_truenas.block_sessions import ISCSI, drop_sessions, has_session
from fake_truenas.checked import Checked
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, remove
from fake_truenas.errors import CallError
from fake_truenas.methods.iscsi_access import AUTH_METHODS
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Enum, Field, Int, List, Nullable, Obj, Str
from fake_truenas.share_tables import (
    ISCSI_AUTHS,
    ISCSI_EXTENTS,
    ISCSI_INITIATORS,
    ISCSI_PORTALS,
    ISCSI_TARGET_EXTENTS,
    ISCSI_TARGETS,
)

_FREE_IDS = "create table iscsi_free_rel_tgt_id (rel_tgt_id integer primary key);"

target = Namespace("iscsi.target", tables=ISCSI_TARGETS.sql() + _FREE_IDS)
target_extent = Namespace("iscsi.targetextent", tables=ISCSI_TARGET_EXTENTS.sql())
namespaces = (target, target_extent)

_NAME_LETTERS = frozenset("-abcdefghijklmnopqrstuvwxyz0123456789.:")
_NAME_TEXT = "Only lowercase alphanumeric characters plus dot (.), dash (-), and colon (:) are allowed."
# The missing space is the real server's.
_SCHEMA_TEXT = "Name can only contain lowercase alphanumeric charactersplus dot (.), dash (-), and colon (:)"
_LUN_MAP_SIZE = 16383

_GROUP = Obj(
    Field("portal", Int()),
    Field("initiator", Nullable(Int()), default=None),
    Field("authmethod", AUTH_METHODS, default="NONE"),
    Field("auth", Nullable(Int()), default=None),
)


def _letters_problem(name: str) -> str | None:
    return None if _NAME_LETTERS.issuperset(name) else _SCHEMA_TEXT


def _name_problem(ctx: Ctx, name: str, own: int | None) -> str | None:
    if not name or not _NAME_LETTERS.issuperset(name):
        return _NAME_TEXT
    if ISCSI_TARGETS.find(ctx.db, name=name, but=own):
        return "Target with this name already exists"
    return None


def _check_alias(ctx: Ctx, alias: str, own: int | None, problems: Problems) -> None:
    if '"' in alias:
        problems.add("alias", "Double quotes are not allowed")
    elif alias == "target":
        problems.add("alias", "target is a reserved word")
    elif ISCSI_TARGETS.find(ctx.db, alias=alias, but=own):
        problems.add("alias", "Alias already exists")


def _check_groups(ctx: Ctx, groups: list[Entry], problems: Problems) -> None:
    portals: set[int] = set()
    for index, group in enumerate(groups):
        where = f"groups.{index}"
        if group["portal"] in portals:
            problems.add(f"{where}.portal", f"Portal {group['portal']} cannot be duplicated on a target")
        elif ISCSI_PORTALS.get(ctx.db, group["portal"]) is None:
            problems.add(f"{where}.portal", f"{group['portal']} Portal not found in database")
        portals.add(group["portal"])
        if group["initiator"] and ISCSI_INITIATORS.get(ctx.db, group["initiator"]) is None:
            problems.add(f"{where}.initiator", f"{group['initiator']} Initiator not found in database")
        if not group["auth"] and group["authmethod"] != "NONE":
            problems.add(f"{where}.auth", "Authentication group is required for CHAP and CHAP Mutual")
        elif group["auth"] and group["authmethod"] == "CHAP_MUTUAL":
            _check_mutual(ctx, group, f"{where}.auth", problems)


def _check_mutual(ctx: Ctx, group: Entry, where: str, problems: Problems) -> None:
    found = ISCSI_AUTHS.find(ctx.db, tag=group["auth"])
    if not found:
        problems.add(where, "Authentication group not found", 2)
    elif not found[0]["peeruser"]:
        problems.add(where, f"Authentication group {group['auth']} does not support CHAP Mutual")


def _clean_target(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    own = old["id"] if old else None
    name_problem = _name_problem(ctx, data["name"], own)
    if name_problem:
        problems.add("name", name_problem)
    if data["alias"] is not None:
        _check_alias(ctx, data["alias"], own, problems)
    if data["mode"] != "ISCSI":
        problems.add("mode", "Fibre Channel not enabled")
    _check_groups(ctx, data["groups"], problems)
    for index, network in enumerate(data["auth_networks"]):
        if not _is_network(network):
            text = f'Auth network "{network:.60}" is not a valid IPv4 or IPv6 network'
            problems.add(f"auth_networks.{index}", text)
    rel_tgt_id = old["rel_tgt_id"] if old else _free_rel_tgt_id(ctx)
    alias = data["alias"] or None  # an empty one is stored as none, else a second target without alias would clash
    return {**data, "alias": alias, "rel_tgt_id": rel_tgt_id}


def _free_rel_tgt_id(ctx: Ctx) -> int:
    """The smallest number that no target has: one that a deleted target had, or the next one."""
    freed: int | None = ctx.db.value("select min(rel_tgt_id) from iscsi_free_rel_tgt_id")
    if freed is not None:
        ctx.db.run("delete from iscsi_free_rel_tgt_id where rel_tgt_id = ?", (freed,))
        return freed
    return int(ctx.db.value("select max(rel_tgt_id) from iscsi_target") or 0) + 1


def _remove_target(ctx: Ctx, entry: Entry, force: bool = False, delete_extents: bool = False) -> None:
    if has_session(ctx.db, ISCSI, entry["id"]) and not force:
        raise CallError(f"Target {entry['name']} is in use.")
    for link in ISCSI_TARGET_EXTENTS.find(ctx.db, target=entry["id"]):
        remove(ctx, "iscsi.targetextent", ISCSI_TARGET_EXTENTS, link["id"])
        if delete_extents:
            remove(ctx, "iscsi.extent", ISCSI_EXTENTS, link["extent"])  # the real call keeps an extent's file
    drop_sessions(ctx.db, ISCSI, entry["id"])
    ctx.db.run("insert into iscsi_free_rel_tgt_id (rel_tgt_id) values (?)", (entry["rel_tgt_id"],))


def remove_orphan_target(ctx: Ctx, target_id: int) -> None:
    """Delete a target that shows no extent any more."""
    entry = ISCSI_TARGETS.get(ctx.db, target_id)
    if entry is not None and not ISCSI_TARGET_EXTENTS.find(ctx.db, target=target_id):
        _remove_target(ctx, entry, force=True)
        remove(ctx, "iscsi.target", ISCSI_TARGETS, target_id)


add_crud(
    target,
    ISCSI_TARGETS,
    Rules(
        type_name="iSCSITarget",
        create=Obj(
            Field("name", Checked(Str(min_length=1, max_length=120), _letters_problem)),
            Field("alias", Nullable(Str()), default=None),
            Field("mode", Enum("ISCSI", "FC", "BOTH"), default="ISCSI"),
            Field("groups", List(_GROUP), default=()),
            Field("auth_networks", List(Str()), default=()),
            Field(
                "iscsi_parameters",
                Nullable(Obj(Field("QueuedCommands", Nullable(Enum(32, 128)), default=None))),
                default=None,
            ),
        ),
        clean=_clean_target,
        argument="iscsi_target",
        schema="iscsi_target",
        removed=_remove_target,
        delete_params=(Field("force", Bool(), default=False), Field("delete_extents", Bool(), default=False)),
    ),
)


@target.method("validate_name", Field("name", Str()), Field("existing_id", Nullable(Int()), default=None))
def validate_name(ctx: Ctx, name: str, existing_id: int | None) -> str | None:
    """What is wrong with a name for a target, or null."""
    return _name_problem(ctx, name, existing_id)


def _free_lun(ctx: Ctx, target_id: int) -> int:
    used = {link["lunid"] for link in ISCSI_TARGET_EXTENTS.find(ctx.db, target=target_id)}
    return next(lun for lun in range(len(used) + 1) if lun not in used)


def _clean_link(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    target_id, extent_id, lun = data["target"], data["extent"], data["lunid"]
    own = old["id"] if old else None
    if ISCSI_TARGETS.get(ctx.db, target_id) is None:
        problems.add("target", f"Target with ID {target_id} does not exist.", 2)
    if ISCSI_EXTENTS.get(ctx.db, extent_id) is None:
        problems.add("extent", f"Extent with ID {extent_id} does not exist.", 2)
    if lun is None:
        lun = _free_lun(ctx, target_id)
    if not 0 <= lun < _LUN_MAP_SIZE:
        problems.add("lunid", f"LUN ID must be a positive integer and lower than {_LUN_MAP_SIZE - 1}")
    if ISCSI_TARGET_EXTENTS.find(ctx.db, target=target_id, lunid=lun, but=own):
        problems.add("lunid", "LUN ID is already being used for this target.")
    if ISCSI_TARGET_EXTENTS.find(ctx.db, extent=extent_id, but=own):
        problems.add("extent", "Extent is already in use.")
    return {"target": target_id, "lunid": lun, "extent": extent_id}


def _remove_link(ctx: Ctx, entry: Entry, force: bool = False) -> None:
    if has_session(ctx.db, ISCSI, entry["target"]) and not force:
        used = ISCSI_TARGETS.get(ctx.db, entry["target"])
        raise CallError(f"Associated target {used['name'] if used else entry['target']} is in use.")


add_crud(
    target_extent,
    ISCSI_TARGET_EXTENTS,
    Rules(
        type_name="iSCSITargetToExtent",
        create=Obj(Field("target", Int()), Field("lunid", Nullable(Int()), default=None), Field("extent", Int())),
        update=Obj(Field("target", Int()), Field("lunid", Int()), Field("extent", Int()), partial=True),
        clean=_clean_link,
        argument="iscsi_target_to_extent",
        schema="iscsi_targetextent",
        removed=_remove_link,
        delete_params=(Field("force", Bool(), default=False),),
    ),
)


def _is_network(text: Any) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
