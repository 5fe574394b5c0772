"""What filesystem.setacl, setperm and chown do to directories. All of it runs inside the caller's transaction.

What is refused is refused before anything changes.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fake_truenas import acls, directories
from fake_truenas.context import Ctx
from fake_truenas.directories import MOUNTS, Directory
from fake_truenas.errors import CallError, Invalid, ValidationErrors, invalid
from fake_truenas.unix_ids import GROUPS, USERS, group_name, user_name

EPERM, ENOENT, EOPNOTSUPP = 1, 2, 95

Owners = tuple[int, int]
_UNCHANGED = acls.UNDEFINED_ID


def set_owner(ctx: Ctx, data: Mapping[str, Any]) -> None:
    """Change owner and group.

    Raises:
        ValidationErrors: an account does not exist, or the path may not be changed.
        CallError: ENOENT.
    """
    problems: list[Invalid] = []
    owners = _owners(data, "filesystem.chown", problems)
    top = _changeable(ctx, data["path"], "filesystem.chown", problems)
    _check(problems)
    for directory in [top, *_further(ctx, top, data["options"])]:
        _save(ctx, _owned(directory, owners))


def set_mode(ctx: Ctx, data: Mapping[str, Any]) -> None:
    """Set permission bits, which ends an access list; without a mode only ends the list.

    Raises:
        ValidationErrors: an access list is there and `stripacl` off, or mode, account or path do not fit.
        CallError: ENOENT.
    """
    problems: list[Invalid] = []
    options = data["options"]
    owners = _owners(data, "filesystem.setperm", problems)
    top = _changeable(ctx, data["path"], "filesystem.setperm", problems)
    mode = None if data["mode"] is None else int(data["mode"], 8)
    if directories.acl_in_force(ctx, top) is not None and not options["stripacl"]:
        text = f'Non-trivial ACL present on [{data["path"]}]. Option "stripacl" required to change permission.'
        problems.append(Invalid("filesystem.setperm.mode", text))
    if mode == 0:
        problems.append(Invalid("filesystem.setperm.mode", "Empty permissions are not permitted."))
    _check(problems)
    for directory in [top, *_further(ctx, top, options)]:
        bits = directory.mode if mode is None else mode
        _save(ctx, _owned(replace(directory, acl=None, mode=bits), owners))


def set_acl(ctx: Ctx, data: Mapping[str, Any]) -> None:
    """Replace the access list, or end it (`stripacl`); recursively, what is below gets what it would inherit.

    Raises:
        ValidationErrors: an entry, an account or the path does not fit.
        CallError: ENOENT; EOPNOTSUPP where acltype is off; EPERM, somebody named could not reach the path.
    """
    problems: list[Invalid] = []
    options = data["options"]
    top = _changeable(ctx, data["path"], "filesystem.setacl", problems)
    for key, name in (("uid", "user"), ("gid", "group")):
        if data[key] not in {None, _UNCHANGED} and data[name]:
            text = f"{name.capitalize() if name == 'user' else name} and {key} may not be specified simultaneously."
            problems.append(Invalid(f"filesystem.setacl.{name}", text))
    owners = _owners(data, "filesystem.setacl", problems, ".")
    _check(problems)
    kind = directories.acl_type(ctx, top)
    if data["acltype"] and data["acltype"] != kind:
        raise invalid("filesystem.setacl.dacl.acltype", "ACL type is invalid for selected path")
    if kind == acls.DISABLED:
        raise CallError(f"{data['path']}: ACLs disabled on path.", EOPNOTSUPP)
    acl = None if options["stripacl"] else _accepted(data["dacl"], kind, options)
    changed = _with_acl(top, kind, acl, data["nfs41_flags"])
    if acl is not None and options["validate_effective_acl"]:
        _check_reachable(ctx, _owned(changed, owners), acl)
    _save(ctx, _owned(changed, owners))
    if options["recursive"]:
        _pass_on(ctx, changed, kind, owners, options)


def _accepted(dacl: list[acls.Ace], kind: str, options: Mapping[str, Any]) -> list[acls.Ace]:
    """The entries to store, in full form and order."""
    entries = [_identified(ace, index) for index, ace in enumerate(dacl)]
    if any(("type" in ace) != (kind == acls.NFS4) for ace in entries):
        raise invalid("filesystem.setacl.dacl.acltype", "ACL type is invalid for selected path")
    if kind == acls.POSIX1E:
        found = acls.posix_problems(entries, recursive=options["recursive"])
        _check([Invalid(f"filesystem_acl.dacl{attribute}", text) for attribute, text in found])
        return acls.in_posix_order([{key: ace[key] for key in ("tag", "id", "default", "perms")} for ace in entries])
    if not entries:
        raise invalid("filesystem_acl.dacl", "An ACL needs at least one entry; use stripacl to remove it")
    denied = "{}: DENY entries for specified tag are not permitted."
    _check(
        [
            Invalid(f"filesystem.setacl.dacl.{index}", denied.format(ace["tag"]))
            for index, ace in enumerate(entries)
            if ace["type"] == "DENY" and ace["tag"] in acls.NFS4_SPECIAL
        ]
    )
    full = [acls.full_nfs4(ace) for ace in entries]
    return acls.canonical(full) if options["canonicalize"] else full


def _identified(ace: acls.Ace, index: int) -> acls.Ace:
    """The entry with the number that its name stands for."""
    number = _UNCHANGED if ace["id"] is None else ace["id"]
    if ace["who"] and ace["tag"] in {"USER", "GROUP"}:
        if number != _UNCHANGED:
            text = f"Numeric ID {number} and account name {ace['who']} may not be specified simultaneously"
            raise invalid(f"filesystem_acl.dacl.{index}.who", text)
        names = USERS if ace["tag"] == "USER" else GROUPS
        if ace["who"] not in names:
            raise invalid(f"filesystem.setacl.{index}.who", f"{ace['who']:.100}: account does not exist")
        number = names[ace["who"]]
    return {**ace, "id": number}


def _with_acl(
    directory: Directory, kind: str, acl: list[acls.Ace] | None, flags: Mapping[str, bool] | None = None
) -> Directory:
    if acl is None:
        return replace(directory, acl=None, aclflags=dict(directories.NO_FLAGS))
    mode = acls.mode_of(kind, acl)
    plain = acl == acls.trivial(kind, mode)
    return replace(
        directory,
        mode=mode,
        acl=None if plain else acl,
        aclflags={**directories.NO_FLAGS, **(flags or {})},
    )


def _pass_on(ctx: Ctx, top: Directory, kind: str, owners: Owners, options: Mapping[str, Any]) -> None:
    waiting = [top]
    while waiting:
        above = waiting.pop()
        for child in directories.children(ctx, above):
            acl = acls.inherited(kind, above.acl, by_file=child.is_file)
            # Another file system may have lists of another kind, which these entries do not fit.
            if child.is_mountpoint and not (options["traverse"] and directories.acl_type(ctx, child) == kind):
                continue
            changed = _with_acl(child, kind, acl)
            _save(ctx, _owned(changed, owners))
            waiting.append(changed)


def _owners(data: Mapping[str, Any], schema: str, problems: list[Invalid], end: str = "") -> Owners:
    """(uid, gid), -1 for what stays; a name goes before a number."""
    numbers = []
    for key, name, known in (("uid", "user", USERS), ("gid", "group", GROUPS)):
        number = _UNCHANGED if data[key] is None else data[key]
        if data[name]:
            number = known.get(data[name], _UNCHANGED)
            if number == _UNCHANGED:
                problems.append(Invalid(f"{schema}.{name}", f"{data[name]:.100}: {name} does not exist{end}"))
        numbers.append(number)
    return numbers[0], numbers[1]


def _changeable(ctx: Ctx, path: str, schema: str, problems: list[Invalid]) -> Directory:
    if not path.startswith("/"):
        # The attribute really starts with "f{schema}": the server's own text lacks what would fill it in.
        raise ValidationErrors([*problems, Invalid("f{schema}.path", "Must be an absolute path")])
    found = directories.find(ctx, path)
    if found is None:
        raise CallError(f"Path {path} not found", ENOENT)
    if found.dataset is None:
        text = f"Changes to permissions on paths that are not beneath the directory {MOUNTS} are not permitted: {path}"
        problems.append(Invalid(f"{schema}.path", text))
    elif found.is_mountpoint and found.dataset["parent"] is None:
        problems.append(Invalid(f"{schema}.path", f'The specified path is a ZFS pool mountpoint "({path})" '))
    return found


def _check_reachable(ctx: Ctx, directory: Directory, acl: list[acls.Ace]) -> None:
    """Refuse a list that lets in somebody who could not pass the directories above."""
    above: list[Directory] = []
    path = directory.path
    while path != MOUNTS:
        path = path.rpartition("/")[0]
        found = directories.find(ctx, path)
        assert found is not None  # noqa: S101 - a directory is above
        above.insert(0, found)
    for ace in acl:
        who = _who(ace, directory) if ace.get("type", "ALLOW") == "ALLOW" else None
        for passed in above if who is not None else ():
            assert who is not None  # noqa: S101 - as above
            entries, kind = directories.acl_in_force(ctx, passed), directories.acl_type(ctx, passed)
            if not acls.may_traverse(kind, entries, passed.mode, (passed.uid, passed.gid), who[2]):
                noun, name, _ = who
                raise CallError(
                    f'Filesystem permissions on path {passed.path} prevent access for {noun} "{name}" to the path'
                    f" {directory.path}. This may be fixed by granting the aforementioned {noun} execute permissions"
                    f" on the path: {passed.path}.",
                    EPERM,
                )


def _who(ace: acls.Ace, directory: Directory) -> tuple[str, str, acls.Who] | None:
    """(user or group, name, account) that an entry is about; None for everybody else."""
    if ace["tag"] in {"USER", "owner@", "USER_OBJ"}:
        uid = ace["id"] if ace["tag"] == "USER" else directory.uid
        return "user", user_name(uid) or str(uid), acls.Who(uid, frozenset((uid,)))
    if ace["tag"] in {"GROUP", "group@", "GROUP_OBJ"}:
        gid = ace["id"] if ace["tag"] == "GROUP" else directory.gid
        # Root's group stands for root, which passes everywhere.
        return "group", group_name(gid) or str(gid), acls.Who(None if gid else 0, frozenset((gid,)))
    return None


def _further(ctx: Ctx, top: Directory, options: Mapping[str, Any]) -> list[Directory]:
    return directories.below(ctx, top, traverse=options["traverse"]) if options["recursive"] else []


def _owned(directory: Directory, owners: Owners) -> Directory:
    uid, gid = owners
    return replace(
        directory,
        uid=directory.uid if uid == _UNCHANGED else uid,
        gid=directory.gid if gid == _UNCHANGED else gid,
    )


def _save(ctx: Ctx, directory: Directory) -> None:
    directories.save(ctx, replace(directory, ctime=ctx.now()))


def _check(problems: list[Invalid]) -> None:
    if problems:
        raise ValidationErrors(problems)
