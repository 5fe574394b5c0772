"""nvmet.host.* and nvmet.host_subsys.*: NVMe-oF hosts and what they may connect to (TrueNAS API 25.10)."""

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load
from fake_truenas.methods.nvmet_global import remove_links
from fake_truenas.nqn import NQN
from fake_truenas.redaction import Secret
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Enum, Field, Int, Nullable, Obj, Str
from fake_truenas.secrecy import shown
from fake_truenas.share_tables import NVMET_HOST_SUBSYSTEMS, NVMET_HOSTS, NVMET_SUBSYSTEMS
from fake_truenas.store import Row

_HASHES = ("SHA-256", "SHA-384", "SHA-512")
_GROUPS = ("2048-BIT", "3072-BIT", "4096-BIT", "6144-BIT", "8192-BIT")
_KEY_LENGTHS = {"DHHC-1:01:": 32, "DHHC-1:02:": 48, "DHHC-1:03:": 64}
_CHECKSUM_LENGTH = 4
_KEY = Str(min_length=1, secret=True)
_SECRET = ("dhchap_key", "dhchap_ctrl_key")

host = Namespace("nvmet.host", since="25.10", tables=NVMET_HOSTS.sql())
host_subsys = Namespace("nvmet.host_subsys", since="25.10", tables=NVMET_HOST_SUBSYSTEMS.sql())
namespaces = (host, host_subsys)


def _check_key(problems: Problems, field: str, key: str) -> None:
    kind = key[:10]
    if kind == "DHHC-1:00:":
        if not key.endswith(":"):
            problems.add(field, 'Unexpected key termination. Use "nvme gen-dhchap-key" to generate.')
        return
    expected = _KEY_LENGTHS.get(kind)
    if expected is None:
        problems.add(field, 'Unexpected key format. Use "nvme gen-dhchap-key" to generate.')
        return
    try:
        length = len(base64.b64decode(key.split(":")[2], validate=True))
    except (binascii.Error, ValueError):
        length = -1
    if length != expected + _CHECKSUM_LENGTH:
        problems.add(field, f"Expected key length of {expected}")


def _clean_host(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    if NVMET_HOSTS.find(ctx.db, hostnqn=data["hostnqn"], but=old["id"] if old else None):
        problems.add("hostnqn", "Object with this hostnqn already exists")
    if data["dhchap_ctrl_key"] and not data["dhchap_key"]:
        problems.add("", "Value error, Cannot configure bi-directional authentication without setting dhchap_key")
    for field in ("dhchap_key", "dhchap_ctrl_key"):
        if data[field] is not None:
            _check_key(problems, field, data[field])
    return data


def _host_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    return shown(ctx, [load(row) for row in rows], _SECRET, "SHARING_NVME_TARGET_WRITE")


def _remove_host(ctx: Ctx, entry: Entry, options: Mapping[str, Any]) -> None:
    remove_links(ctx, "host", NVMET_HOST_SUBSYSTEMS, entry["id"], f"Host {entry['hostnqn']}", force=options["force"])


add_crud(
    host,
    NVMET_HOSTS,
    Rules(
        type_name="NVMetHost",
        create=Obj(
            Field("hostnqn", NQN),
            Field("dhchap_key", Nullable(_KEY), default=None),
            Field("dhchap_ctrl_key", Nullable(_KEY), default=None),
            Field("dhchap_dhgroup", Nullable(Enum(*_GROUPS)), default=None),
            Field("dhchap_hash", Enum(*_HASHES), default="SHA-256"),
        ),
        clean=_clean_host,
        argument="nvmet_host",
        schema="nvmet_host",
        entries=_host_entries,
        removed=_remove_host,
        delete_params=(Field("options", Obj(Field("force", Bool(), default=False)), default={}),),
    ),
)


@host.method(
    "generate_key", Field("dhchap_hash", Enum(*_HASHES), default="SHA-256"), Field("nqn", Nullable(Str()), default=None)
)
def generate_key(ctx: Ctx, dhchap_hash: str, nqn: str | None) -> str:  # noqa: ARG001 - the transformation is the kernel's
    """A new secret in the form that hosts take: the key and its CRC-32, in base64."""
    number = _HASHES.index(dhchap_hash) + 1
    key = ctx.rng.randbytes(_KEY_LENGTHS[f"DHHC-1:0{number}:"])
    checksum = zlib.crc32(key).to_bytes(_CHECKSUM_LENGTH, "little")
    return Secret(f"DHHC-1:0{number}:{base64.b64encode(key + checksum).decode()}:")


@host.method("dhchap_dhgroup_choices")
def dhchap_dhgroup_choices(ctx: Ctx) -> list[str]:  # noqa: ARG001 - every handler gets its context
    """Diffie-Hellman groups."""
    return list(_GROUPS)


@host.method("dhchap_hash_choices")
def dhchap_hash_choices(ctx: Ctx) -> list[str]:  # noqa: ARG001 - every handler gets its context
    """Hash functions."""
    return list(_HASHES)


def _clean_link(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    host_id, subsys_id = data["host_id"], data["subsys_id"]
    if NVMET_HOSTS.get(ctx.db, host_id) is None:
        problems.add("host_id", f"No host with ID {host_id}")
    if NVMET_SUBSYSTEMS.get(ctx.db, subsys_id) is None:
        problems.add("subsys_id", f"No subsystem with ID {subsys_id}")
    if NVMET_HOST_SUBSYSTEMS.find(ctx.db, subsys_id=subsys_id, host_id=host_id, but=old["id"] if old else None):
        problems.add("host_id", f"This record already exists (Host ID: {host_id}/Subsystem ID: {subsys_id})")
    return {"host_id": host_id, "subsys_id": subsys_id}


def _link_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    links = [load(row) for row in rows]
    hosts = NVMET_HOSTS.by_id(ctx.db, (link["host_id"] for link in links))
    subsystems = NVMET_SUBSYSTEMS.by_id(ctx.db, (link["subsys_id"] for link in links))
    entries = [
        {"id": link["id"], "host": hosts[link["host_id"]], "subsys": subsystems[link["subsys_id"]]} for link in links
    ]
    return shown(ctx, entries, _SECRET, "SHARING_NVME_TARGET_WRITE")


add_crud(
    host_subsys,
    NVMET_HOST_SUBSYSTEMS,
    Rules(
        type_name="NVMetHostSubsys",
        create=Obj(Field("host_id", Int()), Field("subsys_id", Int())),
        clean=_clean_link,
        argument="nvmet_host_subsys",
        schema="nvmet_host_subsys",
        entries=_link_entries,
        aliases={"host.id": "host_id", "subsys.id": "subsys_id"},
    ),
)
