"""sharing.smb.*: SMB shares and who may use them (TrueNAS API 25.10).

Shares vanish with the dataset that they are on or under, and do not follow a renamed one, as on the real server.
"""

import uuid
from typing import Any

import orjson

from fake_truenas import directories
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Documents, Problems, Rules, add_crud, load, remove
from fake_truenas.errors import CallError, Invalid, MatchNotFound, ValidationErrors, invalid
from fake_truenas.plan import prefix_range
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Field
from fake_truenas.smb_params import ACL, PURPOSES, SHARE, SHARE_NAME, SHARE_UPDATE
from fake_truenas.unix_ids import GROUPS, SMB_GROUP_SIDS, USERS, group_name
from fake_truenas.volumes import mountpoint

ENOENT = 2
EVERYONE = "S-1-1-0"

_AAPL = (
    "Apple SMB2/3 protocol extension support is required by this parameter. "
    "This feature may be enabled in the general SMB server configuration."
)
_UNIX_SID_PREFIXES = ("S-1-22-1-", "S-1-22-2-")

# `name_key` is the name as it is compared; entries do not show it.
SMB_SHARES = Documents("smb_share", {"path": str, "name": str, "name_key": str})

_ACL_TABLE = """
create table smb_share_acl (share integer primary key references smb_share (id) on delete cascade, acl text not null);
"""


class _Hooks(DatasetHooks):
    """Shares go with their dataset."""

    def dataset_deleted(self, ctx: Ctx, pk: int, name: str) -> None:  # noqa: ARG002 - given shape
        """Remove the shares at its mount point and below."""
        path = mountpoint(name)
        below, args = prefix_range("path", path + "/")
        found = ctx.db.rows(
            "select id from smb_share where path = ?"  # noqa: S608 - built from constants
            f" union all select id from smb_share where {below} order by id",
            (path, *args),
        )
        for row in found:
            remove(ctx, "sharing.smb", SMB_SHARES, row["id"])


smb_share = Namespace("sharing.smb", tables=SMB_SHARES.sql() + _ACL_TABLE, hooks=_Hooks())
namespaces = (smb_share,)


def _clean(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    path = data["path"]
    if path.startswith("/"):
        path = directories.normalized(path)
    data = {**data, "path": path, "name_key": data["name"].casefold()}
    if SMB_SHARES.find(ctx.db, name_key=data["name_key"], but=old["id"] if old else None):
        problems.add("name", "Share names are case-insensitive and must be unique")
    if data["purpose"] != "EXTERNAL_SHARE":
        _check_path(ctx, data, problems)
    _check_purpose(data, problems)
    _check_audit(data["audit"], problems)
    return {**data, "options": _with_uuid(ctx, data["options"], old, problems)}


def _check_path(ctx: Ctx, data: Entry, problems: Problems) -> None:
    path = data["path"]
    if path == "EXTERNAL":
        problems.add("path", "External paths may only be set for shares with an EXTERNAL_SHARE purpose")
        return
    if not path.startswith(directories.MOUNTS + "/"):
        problems.add("path", "The path must reside within a pool mount point")
        return
    found = directories.find(ctx, path)
    if found is None:
        # The real server looks at the path before it answers with what it has found to be wrong.
        raise CallError(f"Path {path} not found", ENOENT)
    if not data["options"].get("acl", True) and directories.acl_in_force(ctx, found) is not None:
        problems.add("acl", f"ACL detected on {path}. ACLs must be stripped prior to creation of SMB share.")


def _check_purpose(data: Entry, problems: Problems) -> None:
    purpose, options = data["purpose"], data["options"]
    if purpose == "EXTERNAL_SHARE" and data["path"] != "EXTERNAL":
        problems.add("path", f'{data["path"]}: Path must be set to "EXTERNAL"')
    if purpose == "VEEAM_REPOSITORY_SHARE":
        problems.add("purpose", "Veeam repository shares require a TrueNAS enterprise license.")
    # A fresh server has Apple's extensions switched off, and there is no smb.update to switch them on.
    if options.get("afp"):
        problems.add("options.afp", _AAPL)
    if purpose == "TIMEMACHINE_SHARE" or options.get("timemachine"):
        problems.add("purpose", _AAPL)


def _check_audit(audit: Entry, problems: Problems) -> None:
    if not audit["enable"]:
        return
    known = False
    for key in ("watch_list", "ignore_list"):
        for index, name in enumerate(audit[key]):
            if name not in GROUPS:
                problems.add(f"audit.{key}.{index}", f"{name:.100}: group does not exist.")
                continue
            if GROUPS[name] not in SMB_GROUP_SIDS:
                problems.add(f"audit.{key}.{index}", f"{name}: not an SMB group.")
            known = True
    if not known:
        problems.add("audit.enable", "Watch list or ignore list is required to enable auditing for an SMB share.")


def _with_uuid(ctx: Ctx, options: Entry, old: Entry | None, problems: Problems) -> Entry:
    """Options of legacy shares have a volume uuid: the one given, the one before, or a new one."""
    if "vuid" not in options:
        return options
    vuid = options["vuid"] or (old or {"options": {}})["options"].get("vuid")
    if vuid is None:
        return {**options, "vuid": ctx.nas.new_uuid()}
    try:
        uuid.UUID(vuid)
    except ValueError:
        problems.add("options.vuid", "Invalid UUID")
    return {**options, "vuid": vuid}


def _entries(ctx: Ctx, rows: Any, extra: Any) -> list[Entry]:  # noqa: ARG001 - given shape
    shown = [{**load(row), "locked": False} for row in rows]
    for entry in shown:
        del entry["name_key"]
    return shown


add_crud(
    smb_share,
    SMB_SHARES,
    Rules(
        type_name="SharingSMB",
        create=SHARE,
        update=SHARE_UPDATE,
        clean=_clean,
        argument=None,
        schema="sharingsmb",
        entries=_entries,
    ),
)


@smb_share.method("presets")
def presets(ctx: Ctx) -> dict[str, Entry]:  # noqa: ARG001 - every handler gets its context
    """The purposes that a share can have."""
    return {name: {"verbose_name": name} for name in PURPOSES}


def _share_id(ctx: Ctx, name: str) -> int | None:
    found = SMB_SHARES.find(ctx.db, name_key=name.casefold())
    return found[0]["id"] if found else None


@smb_share.method("getacl", Field("smb_getacl", SHARE_NAME))
def getacl(ctx: Ctx, data: Entry) -> Entry:
    """Who may use a share over SMB, by its name.

    Raises:
        ValidationErrors: there is no such share.
    """
    share = _share_id(ctx, data["share_name"])
    if share is None:
        raise invalid("sharing_smb_getacl.share_name", "Share does not exist")
    return _acl_entry(ctx, share, data["share_name"])


def _acl_entry(ctx: Ctx, share: int, name: str) -> Entry:
    stored = ctx.db.value("select acl from smb_share_acl where share = ?", (share,))
    acl = (
        [{"ae_who_sid": EVERYONE, "ae_perm": "FULL", "ae_type": "ALLOWED"}] if stored is None else orjson.loads(stored)
    )
    return {"share_name": name, "share_acl": [ace | _who(ace["ae_who_sid"]) for ace in acl]}


def _who(sid: str) -> Entry:
    gid = next((gid for gid, known in SMB_GROUP_SIDS.items() if known == sid), None)
    if gid is not None:
        return {"ae_who_id": {"id_type": "GROUP", "id": gid}, "ae_who_str": group_name(gid)}
    return {"ae_who_id": None, "ae_who_str": "everyone@" if sid == EVERYONE else None}


@smb_share.method("setacl", Field("smb_setacl", ACL))
def setacl(ctx: Ctx, data: Entry) -> Entry:
    """Say who may use a share over SMB; an empty list means everyone. Gives the new list.

    Raises:
        ValidationErrors: there is no such share, or an entry names nobody that SMB knows.
        MatchNotFound: an entry has the number of no account.
    """
    problems: list[Invalid] = []
    acl = [
        {"ae_who_sid": _sid(ace, index, problems), "ae_perm": ace["ae_perm"], "ae_type": ace["ae_type"]}
        for index, ace in enumerate(data["share_acl"])
    ]
    share = _share_id(ctx, data["share_name"])
    if share is None:
        problems.append(Invalid("smb_share_acl.share_name", "Share does not exist"))
    if share is None or problems:
        raise ValidationErrors(problems)
    if acl:
        text = orjson.dumps(acl).decode()
        ctx.db.run("insert or replace into smb_share_acl (share, acl) values (?, ?)", (share, text))
    else:
        ctx.db.run("delete from smb_share_acl where share = ?", (share,))
    return _acl_entry(ctx, share, data["share_name"])


def _sid(ace: Entry, index: int, problems: list[Invalid]) -> str | None:
    at = f"sharing_smb_setacl.share_acl.{index}"
    sid: str | None = ace["ae_who_sid"]
    if sid:
        if sid.startswith(_UNIX_SID_PREFIXES):
            text = "SID entries for SMB Share ACLs may not be specially-encoded Unix User IDs or Groups."
            problems.append(Invalid(f"{at}.sid", text))
        return sid
    who = ace["ae_who_id"]
    if who is None:
        problems.append(Invalid(f"{at}.sid", "Either a SID or Unix ID must be specified for ACL entry."))
        return None
    accounts = USERS if who["id_type"] == "USER" else GROUPS
    if who["id"] not in accounts.values():
        raise MatchNotFound
    sid = SMB_GROUP_SIDS.get(who["id"]) if who["id_type"] == "GROUP" else None
    if sid is None:
        problems.append(Invalid(f"{at}.ae_who_id", "User or group does must exist and be an SMB account."))
    return sid
