"""sharing.smb.*: SMB shares and who may use them (TrueNAS API 25.10, and the flat shares of releases before it).

Shares vanish with the dataset that they are on or under, and do not follow a renamed one, as on the real server.
"""

import uuid
from typing import Any

import orjson

from fake_truenas import acls, directories
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load, remove
from fake_truenas.errors import CallError, Invalid, MatchNotFound, ValidationErrors, invalid
from fake_truenas.methods.smb import smb_config
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Field
from fake_truenas.share_tables import SMB_SHARES
from fake_truenas.smb_flat import FLAT_SHARE, PRESETS, is_flat, modern, name_problems
from fake_truenas.smb_params import ACL, PRECHECK, PURPOSES, SHARE, SHARE_NAME, SHARE_UPDATE, aux_problems
from fake_truenas.store import Row
from fake_truenas.unix_ids import GROUPS, SMB_GROUP_SIDS, USERS, group_name
from fake_truenas.volumes import mountpoint

ENOENT, EEXIST = 2, 17
EVERYONE = "S-1-1-0"

_AAPL = (
    "Apple SMB2/3 protocol extension support is required by this parameter. "
    "This feature may be enabled in the general SMB server configuration."
)
_ACL_WORDS = {acls.NFS4: "NFSV4", acls.POSIX1E: "POSIX", acls.DISABLED: "OFF"}
_UNIX_SID_PREFIXES = ("S-1-22-1-", "S-1-22-2-")

_ACL_TABLE = """
create table smb_share_acl (share integer primary key references smb_share (id) on delete cascade, acl text not null);
"""


class _Hooks(DatasetHooks):
    """Shares go with their dataset."""

    def detach(self, ctx: Ctx, name: str) -> None:
        """Remove the enabled shares at its mount point and below."""
        for share in SMB_SHARES.below(ctx.db, "path", mountpoint(name)):
            if share["enabled"]:
                remove(ctx, "sharing.smb", SMB_SHARES, share["id"])


smb_share = Namespace("sharing.smb", tables=SMB_SHARES.sql() + _ACL_TABLE, hooks=_Hooks())
by_purpose = Namespace("sharing.smb", since="25.10")
flat = Namespace("sharing.smb", until="25.10")
namespaces = (smb_share, by_purpose, flat)


def _clean(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    data = _placed(ctx, modern(data) if is_flat(data) else data, old, problems)
    if data["purpose"] != "EXTERNAL_SHARE":
        _check_path(ctx, data, data["options"].get("acl", True), problems)
    _check_purpose(ctx, data, problems)
    _check_audit(ctx, data["audit"], problems)
    options = data["options"]
    if options.get("home") and _other_home(ctx, old):
        problems.add("options.home", "Only one share is allowed to be a home share.")
    for text in aux_problems(options.get("auxsmbconf", "")):
        problems.add("options.auxsmbconf", text)
    return {**data, "options": _with_uuid(ctx, options, old, problems)}


def _placed(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    path = data["path"]
    if path.startswith("/"):
        path = directories.normalized(path)
    data = {**data, "path": path, "name_key": data["name"].casefold()}
    if SMB_SHARES.find(ctx.db, name_key=data["name_key"], but=old["id"] if old else None):
        problems.add("name", "Share names are case-insensitive and must be unique")
    return data


def _options(share: Entry) -> Entry:
    return share if is_flat(share) else share["options"]


def _other_home(ctx: Ctx, old: Entry | None) -> bool:
    others = SMB_SHARES.find(ctx.db, but=old["id"] if old else None)
    return any(_options(share).get("home") for share in others)


def _check_path(ctx: Ctx, data: Entry, with_acl: bool, problems: Problems) -> None:
    path = data["path"]
    if path.startswith("EXTERNAL"):
        problems.add("path", "External paths may only be set for shares with an EXTERNAL_SHARE purpose")
        return
    if not path.startswith(directories.MOUNTS + "/"):
        problems.add("path", "The path must reside within a pool mount point")
        return
    found = directories.find(ctx, path)
    if found is None:
        # The real server looks at the path before it answers with what it has found to be wrong.
        raise CallError(f"Path {path} not found", ENOENT)
    if found.is_file:
        problems.add("path", "The path must be a directory")
    _check_mounts(ctx, found, problems)
    if not with_acl and directories.acl_in_force(ctx, found) is not None:
        problems.add("acl", f"ACL detected on {path}. ACLs must be stripped prior to creation of SMB share.")


def _check_mounts(ctx: Ctx, found: directories.Directory, problems: Problems) -> None:
    """File systems mounted below the path have its kind of access lists."""
    if found.dataset is None or not found.is_mountpoint:
        return
    source, kind = found.dataset["name"], _acl_word(ctx, found.dataset)
    for child in directories.mounted_below(ctx, found.dataset):
        if _acl_word(ctx, child) != kind:
            text = f"ACL type mismatch with child mountpoint at {mountpoint(child['name'])}: {source} - {kind}, "
            problems.add("path", f"{text}{child['name']} - {_acl_word(ctx, child)}")


def _acl_word(ctx: Ctx, dataset: Row) -> str:
    return _ACL_WORDS[acls.ACL_TYPES[directories.setting(ctx, dataset, "acltype")]]


def _check_purpose(ctx: Ctx, data: Entry, problems: Problems) -> None:
    purpose, options = data["purpose"], data["options"]
    if purpose == "EXTERNAL_SHARE" and data["path"] != "EXTERNAL":
        problems.add("path", f'{data["path"]}: Path must be set to "EXTERNAL"')
    if purpose == "VEEAM_REPOSITORY_SHARE":
        problems.add("purpose", "Veeam repository shares require a TrueNAS enterprise license.")
    if smb_config(ctx)["aapl_extensions"]:
        return
    if options.get("afp"):
        problems.add("options.afp", _AAPL)
    if purpose == "TIMEMACHINE_SHARE" or options.get("timemachine"):
        problems.add("purpose", _AAPL)


def _check_audit(ctx: Ctx, audit: Entry, problems: Problems) -> None:
    if not audit["enable"]:
        return
    if smb_config(ctx)["enable_smb1"]:
        problems.add("audit.enable", "SMB auditing is not supported if SMB1 protocol is enabled")
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
    docs = [load(row) for row in rows]
    shown = [{**(modern(doc) if is_flat(doc) else doc), "locked": False} for doc in docs]
    for entry in shown:
        del entry["name_key"]
    return shown


add_crud(
    by_purpose,
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


def _clean_flat(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    data = _placed(ctx, {**data, **PRESETS[data["purpose"]]}, old, problems)
    for text in name_problems(data["name"]):
        problems.add("name", text)
    if data["path"].startswith("EXTERNAL:"):
        for proxy in data["path"].removeprefix("EXTERNAL:").split(","):
            if proxy.count("\\") != 1 or proxy.startswith("\\") or proxy.endswith("\\"):
                problems.add("path", f"{proxy}: DFS proxy must be of format SERVER\\SHARE")
    else:
        _check_path(ctx, data, data["acl"], problems)
    _check_audit(ctx, data["audit"], problems)
    if data["home"] and _other_home(ctx, old):
        problems.add("home", "Only one share is allowed to be a home share.")
    for text in aux_problems(data["auxsmbconf"]):
        problems.add("auxsmbconf", text)
    for field in ("afp", "timemachine"):
        if data[field] and not smb_config(ctx)["aapl_extensions"]:
            problems.add(field, _AAPL)
    return {**data, "vuid": _with_uuid(ctx, {"vuid": data["vuid"]}, None, problems)["vuid"]}


def _flat_entries(ctx: Ctx, rows: Any, extra: Any) -> list[Entry]:  # noqa: ARG001 - given shape
    shown = [{**load(row), "locked": False} for row in rows]
    for entry in shown:
        del entry["name_key"]
        entry["path_local"] = "" if entry["path"].startswith("EXTERNAL:") else entry["path"]
    return shown


add_crud(
    flat,
    SMB_SHARES,
    Rules(
        type_name="SharingSMB",
        create=FLAT_SHARE,
        clean=_clean_flat,
        argument="sharingsmb",
        schema="sharingsmb",
        entries=_flat_entries,
    ),
)


@smb_share.method("share_precheck", Field("smb_share_precheck", PRECHECK, default={}))
def share_precheck(ctx: Ctx, data: Entry) -> None:
    """Whether a share can be made now; it cannot as long as nobody could use it.

    Raises:
        ValidationErrors: there is no SMB user, or the name is taken (EEXIST).
    """
    domain = "a directory service" if ctx.nas.persona.at_least("25.10") else "Active Directory"
    text = (
        f"TrueNAS server must be joined to {domain} or have at least one local SMB user before creating an SMB share."
    )
    problems = [Invalid("sharing.smb.share_precheck", text)]
    if data["name"] is not None and _share_id(ctx, data["name"]) is not None:
        problems.append(Invalid("sharing.smb.share_precheck.name", "Share with this name already exists.", EEXIST))
    raise ValidationErrors(problems)


@smb_share.method("presets")
def presets(ctx: Ctx) -> dict[str, Entry]:
    """The purposes that a share can have."""
    names = PURPOSES if ctx.nas.persona.at_least("25.10") else PRESETS
    return {name: {"verbose_name": name} for name in names}


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
