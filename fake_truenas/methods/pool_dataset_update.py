"""pool.dataset.update and the quotas of users and groups (TrueNAS API 25.10)."""

from collections.abc import Mapping
from typing import Any

from fake_truenas import dataset_ops, space, unix_ids, zfs
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.dataset_attachments import smb_shares
from fake_truenas.dataset_entries import Builder
from fake_truenas.dataset_ops import COLLECTION
from fake_truenas.dataset_params import (
    UPDATE,
    Problems,
    check_acl_settings,
    check_type_fields,
    follow_acltype,
    settings_of,
    user_properties_of,
)
from fake_truenas.errors import ApiError, CallError, invalid
from fake_truenas.methods.pool_dataset import NOT_A_MULTIPLE, TOO_BIG, datasets, entry_of, require
from fake_truenas.properties import BY_ZFS_NAME, COMMENTS_BY_ZFS_NAME, SIZE_COLUMNS
from fake_truenas.query import QUERY_OPTIONS, check_options, compile_filters, finish
from fake_truenas.schema import Enum, Field, Int, Json, List, Nullable, Obj, Str
from fake_truenas.store import Row

namespaces = ()

_ENOENT = 2
_MAX_QUOTAS = 100


@datasets.method("update", Field("id", Str()), Field("data", UPDATE))
def update(ctx: Ctx, name: str, data: Entry) -> Entry:
    """Change properties; gives the full entry.

    Raises:
        ValidationErrors: it does not exist, a field is wrong, the volume would shrink; from 25.10 on also what ZFS
            refuses, such as a quota below what is used or a reservation that finds no space.
        CallError: before 25.10, what ZFS refuses.
    """
    row = None if zfs.is_internal(name) else space.find(ctx.db, name)
    if row is None:
        raise invalid("id", f"{name} does not exist", _ENOENT)
    problems = Problems("pool_dataset_update")
    check_type_fields(problems, data, is_volume=row["type"] == "VOLUME")
    if row["type"] == "VOLUME":
        _check_growth(ctx, problems, data, row)
    elif "acltype" in data or "aclmode" in data:
        _check_acl(ctx, problems, data, row)
    data = _with_replaced_properties(ctx, problems, data, row)
    problems.check()
    _refuse_absent(ctx, row, data)
    chosen, inherited = settings_of(data)
    follow_acltype(chosen, inherited)
    for setting in (*chosen, *inherited):
        if row["type"] == "VOLUME" and not BY_ZFS_NAME[setting].volume:
            raise _refused(ctx, row, setting, f"'{setting}' does not apply to datasets of this type")
    dataset_ops.set_local(ctx, row, chosen, inherited)
    for key, value in user_properties_of(data, creating=False).items():
        if value is None:
            space.inherit_property(ctx.db, row["pk"], name, key)
        elif problem := zfs.property_problem(key):
            raise _refused(ctx, row, key, problem)
        else:
            space.set_property(ctx.db, row["pk"], name, key, value)
    _resize(ctx, row, data)
    entry = entry_of(ctx, name)
    ctx.emit(COLLECTION, "changed", name, entry)
    return entry


def _check_acl(ctx: Ctx, problems: Problems, data: Entry, row: Row) -> None:
    builder = Builder(ctx.db, {})
    own = builder.settings(row)
    above = builder.settings(space.by_pk(ctx.db, row["parent"])) if row["parent"] is not None else own

    def in_force(key: str) -> str:
        given = data.get(key)
        shown = above if given == "INHERIT" else own
        return str(shown[key]["rawvalue"]) if given in {None, "INHERIT"} else str(given).lower()

    if in_force("acltype") != own["acltype"]["rawvalue"]:
        shares = [share["name"] for share in smb_shares(ctx, row["name"]) if share["enabled"]]
        if shares:
            problems.add(
                "acltype",
                "This dataset is hosting SMB shares. Before acltype can be updated the following shares must be "
                f"disabled: {shares}. The shares may be re-enabled after the change.",
            )
    check_acl_settings(problems, in_force("acltype"), in_force("aclmode"))


def _with_replaced_properties(ctx: Ctx, problems: Problems, data: Entry, row: Row) -> Entry:
    """`user_properties` in an update are all there are to be: the others are removed."""
    changes = data.get("user_properties_update")
    if data.get("user_properties"):
        if changes:
            text = 'Should not be specified when "user_properties" are explicitly specified'
            problems.add("user_properties_update", text)
            return data
        kept = {item["key"] for item in data["user_properties"]}
        held = ctx.db.rows("select key from dataset_property where dataset = ? order by key", (row["pk"],))
        gone = [one["key"] for one in held if one["key"] not in kept and one["key"] not in COMMENTS_BY_ZFS_NAME]
        return {**data, "user_properties_update": [{"key": key, "remove": True} for key in gone]}
    for index, item in enumerate(changes or ()):
        field = f"user_properties_update.{index}"
        if "value" in item and item.get("remove"):
            problems.add(f"{field}.remove", 'When "value" is specified, this cannot be set')
        elif "value" not in item and "remove" not in item:
            problems.add(f"{field}.value", 'Either "value" or "remove" must be specified')
    return data


def _refuse_absent(ctx: Ctx, row: Row, data: Entry) -> None:
    known = "select 1 from dataset_property where dataset = ? and key = ?"
    for item in data.get("user_properties_update", ()):
        if item.get("remove") and ctx.db.value(known, (row["pk"], item["key"])) is None:
            raise invalid(f"properties.{item['key']}", "Property does not exist and cannot be inherited")


def _check_growth(ctx: Ctx, problems: Problems, data: Entry, row: Row) -> None:
    volsize = data.get("volsize")
    if volsize is None:
        return
    rows = space.chain(ctx.db, row)
    available = zfs.available_bytes(rows[:-1], space.usable_bytes(ctx.db, row["pool"])) + zfs.used_bytes(row)
    if volsize > available * 0.8 and not data.get("force_size", False):
        problems.add("volsize", TOO_BIG)
    if volsize % row["volblocksize"]:
        problems.add("volsize", NOT_A_MULTIPLE)
    if volsize < row["volsize"]:
        problems.add("volsize", "You cannot shrink a zvol from GUI, this may lead to data loss.")


def _refused(ctx: Ctx, row: Row, field: str, text: str) -> ApiError:
    """What ZFS refuses to set, in the words of the release."""
    if ctx.nas.persona.at_least("26.0"):
        return invalid("pool.dataset.update", f"Failed to update properties: {text}")
    if ctx.nas.persona.at_least("25.10"):
        return invalid(f"pool_dataset_update.{field}", text)
    return CallError(f"Failed to update dataset: cannot set property for '{row['name']}': {text}")  # noqa: S608 - no SQL


def _resize(ctx: Ctx, row: Row, data: Entry) -> None:
    deltas: dict[str, int] = {key: (data[key] or 0) - row[key] for key in SIZE_COLUMNS if key in data}
    volsize = data.get("volsize", row["volsize"])
    if volsize != row["volsize"]:
        thick = zfs.zvol_refreservation_bytes(row["volsize"], row["volblocksize"])
        if row["refreservation"] == thick and "refreservation" not in data:
            deltas["refreservation"] = zfs.zvol_refreservation_bytes(volsize, row["volblocksize"]) - thick
        ctx.db.run("update dataset set volsize = ? where pk = ?", (volsize, row["pk"]))
        for hook in ctx.nas.hooks:
            hook.dataset_resized(ctx, row["pk"], volsize)
    _refuse_small_limits(ctx, row, data)
    deltas = {key: delta for key, delta in deltas.items() if delta}
    if deltas:
        try:
            space.change_all(ctx.db, row["pk"], deltas)
        except zfs.OutOfSpaceError:
            raise _refused(ctx, row, "volsize" if "volsize" in data else next(iter(deltas)), "out of space") from None


def _refuse_small_limits(ctx: Ctx, row: Row, data: Mapping[str, Any]) -> None:
    """ZFS refuses a limit below what is used already."""
    for key, used in (("quota", zfs.used_bytes(row)), ("refquota", int(row["referenced"]))):
        if data.get(key) and data[key] < used:
            raise _refused(ctx, row, key, "size is less than current used or reserved space")


_QUOTA_TYPES = ("USER", "GROUP", "DATASET", "PROJECT")
_QUOTA = Obj(
    Field("quota_type", Enum("DATASET", "USER", "USEROBJ", "GROUP", "GROUPOBJ")),
    Field("id", Str()),
    Field("quota_value", Nullable(Int(0))),
)


@datasets.method(
    "get_quota",
    Field("dataset", Str()),
    Field("quota_type", Enum(*_QUOTA_TYPES)),
    Field("filters", List(Json()), default=()),
    Field("options", QUERY_OPTIONS, default={}),
)
def get_quota(ctx: Ctx, name: str, quota_type: str, filters: list[Any], options: dict[str, Any]) -> Any:
    """Quotas of users, groups or the dataset itself, as a query. Nobody has files, so nobody uses any."""
    check_options(options)
    row = require(ctx, name)
    found = [_dataset_quota(row)] if quota_type == "DATASET" else _owner_quotas(ctx, row, quota_type)
    matches = compile_filters(filters) if filters else None
    return finish([entry for entry in found if matches is None or matches(entry)], options)


def _dataset_quota(row: Row) -> Entry:
    sizes = {"quota": row["quota"], "refquota": row["refquota"], "used_bytes": zfs.used_bytes(row)}
    return {"quota_type": "DATASET", "id": row["name"], "name": row["name"], **sizes}


def _owner_quotas(ctx: Ctx, row: Row, quota_type: str) -> list[Entry]:
    name_of = unix_ids.user_name if quota_type == "USER" else unix_ids.group_name
    found: dict[int, Entry] = {}
    for kind, member in ((quota_type, "quota"), (f"{quota_type}OBJ", "obj_quota")):
        sql = "select owner, value from dataset_quota where dataset = ? and kind = ? order by owner"
        for owner, value in ctx.db.rows(sql, (row["pk"], kind)):
            fresh = {"quota_type": quota_type, "id": owner, "name": name_of(owner), "used_bytes": 0, "obj_used": 0}
            found.setdefault(owner, fresh)[member] = value
    return [found[owner] for owner in sorted(found)]


@datasets.method(
    "set_quota",
    Field("dataset", Str()),
    Field("quotas", List(_QUOTA), default=({"quota_type": "USER", "id": "0", "quota_value": 0},)),
)
def set_quota(ctx: Ctx, name: str, quotas: list[Entry]) -> None:
    """Set quotas of users, groups or the dataset; 0 or null removes one.

    Raises:
        ValidationErrors: an id that nobody has, or root's; one setting twice; more than 100.
        CallError: a zvol has none.
    """
    if len(quotas) > _MAX_QUOTAS:
        raise invalid("quotas", f"List should have at most {_MAX_QUOTAS} items after validation, not {len(quotas)}")
    row = require(ctx, name)
    problems = Problems("quotas")
    sizes: dict[str, int] = {}
    owners: list[tuple[str, int, int]] = []
    for index, item in enumerate(quotas):
        if item["quota_type"] == "DATASET":
            _take_size(problems, f"{index}.id", item, sizes)
        else:
            owners.append((item["quota_type"], _owner(problems, f"{index}.id", item), item["quota_value"] or 0))
    problems.check()
    if row["type"] == "VOLUME":
        raise CallError(f"Failed to set quotas of {name}: not a filesystem")
    if sizes:
        _resize(ctx, row, sizes)
    ctx.db.run_many(
        "insert or replace into dataset_quota (dataset, kind, owner, value) values (?, ?, ?, ?)",
        [(row["pk"], *owner) for owner in owners],
    )
    ctx.db.run("delete from dataset_quota where dataset = ? and value = 0", (row["pk"],))


def _take_size(problems: Problems, field: str, item: Entry, sizes: dict[str, int]) -> None:
    key = item["id"].lower()
    if item["id"] not in {"QUOTA", "REFQUOTA"}:
        problems.add(field, 'id for quota_type DATASET must be either "QUOTA" or "REFQUOTA"')
    elif key in sizes:
        problems.add(field, f"Setting multiple values for {key} for quota_type DATASET is not permitted")
    else:
        sizes[key] = item["quota_value"] or 0


def _owner(problems: Problems, field: str, item: Entry) -> int:
    """The user or group id that an item is about."""
    kind, text = item["quota_type"].lower(), item["id"]
    is_user = kind.startswith("user")
    known = unix_ids.USERS if is_user else unix_ids.GROUPS
    if text.isascii() and text.isdigit() and len(text) <= 10:
        number = int(text)
    elif text in known:
        number = known[text]
    else:
        problems.add(field, f"{kind} {text:.100} is not valid.")
        return -1
    if number == 0:
        problems.add(field, f"Setting {kind} quota on {'u' if is_user else 'g'}id [0] is not permitted")
    return number
