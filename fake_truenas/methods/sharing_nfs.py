"""sharing.nfs.* and nfs.*: NFS exports and their service (TrueNAS API 25.10).

Shares vanish with the dataset that they are on or under, and do not follow a renamed one, as on the real server.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from fake_truenas import directories
from fake_truenas.config_row import Config, add_config, read_config
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load, remove
from fake_truenas.registry import DatasetHooks, Namespace
from fake_truenas.schema import Bool, Enum, Field, Int, List, Nullable, Obj, Str
from fake_truenas.share_tables import NFS_SHARES
from fake_truenas.store import Row
from fake_truenas.unix_ids import GROUPS, USERS
from fake_truenas.volumes import mountpoint, pool_problem

_MAX_CLIENTS = 42
_CORES = 4

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class _Hooks(DatasetHooks):
    """Shares go with their dataset."""

    def detach(self, ctx: Ctx, name: str) -> None:
        """Remove the enabled shares at its mount point and below."""
        for share in NFS_SHARES.below(ctx.db, "path", mountpoint(name)):
            if share["enabled"]:
                remove(ctx, "sharing.nfs", NFS_SHARES, share["id"])


nfs_share = Namespace("sharing.nfs", tables=NFS_SHARES.sql(), hooks=_Hooks())
nfs = Namespace("nfs")
namespaces = (nfs_share, nfs)


def _networks(values: Iterable[str], problems: Problems) -> list[Network]:
    """The networks in CIDR form; what is not one, or stands for everybody, is refused."""
    parsed: list[Network] = []
    wrong = []
    for value in values:
        try:
            parsed.append(ipaddress.ip_network(value, strict=False))
        except ValueError:
            wrong.append(value)
    if wrong:
        names = ", ".join(wrong)
        problems.add("networks", f"The following do not appear to be valid IPv4 or IPv6 networks: {names:.300}")
    for network in parsed:
        if int(network.network_address) == 0:
            problems.add(
                "networks",
                f"Please do not use {network} to represent all-networks. No entry is required to configure"
                f" 'allow everybody'. Please remove {network}.",
            )
    overlaps = [(str(a), str(b)) for a, b in combinations(parsed, 2) if _overlap(a, b)]
    if overlaps:
        problems.add("networks", f"ERROR - Overlapped subnets: {overlaps}")
    return parsed


def _overlap(a: Network, b: Network) -> bool:
    return a.version == b.version and a.overlaps(b)


def _check_unique(data: Entry, field: str, problems: Problems) -> None:
    values = data[field]
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        problems.add(field, f"Entries must be unique, the following are not: {', '.join(twice)}")
    if len(values) > _MAX_CLIENTS:
        problems.add(field, f"List should have at most {_MAX_CLIENTS} items after validation, not {len(values)}")


def _check_hosts(hosts: Sequence[str], problems: Problems) -> None:
    wrong = [host for host in hosts if '"' in host or any(letter.isspace() for letter in host)]
    if wrong:
        problems.add("hosts", f"Cannot contain spaces or quotes: {', '.join(wrong)}")
    for host in hosts:
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - refused, not bound
            problems.add("hosts", f"Please do not use {host} to represent all-hosts. Please remove {host}.")


def _check_other_shares(data: Entry, networks: Sequence[Network], others: Sequence[Entry], problems: Problems) -> None:
    """Two shares of one path must not serve the same client, but two for everybody pass, as on the real server."""
    used: list[Network] = []
    hosts: set[str] = set()
    for other in others:
        used += [ipaddress.ip_network(network, strict=False) for network in other["networks"]]
        hosts.update(other["hosts"])
        if not other["networks"] and not other["hosts"]:
            used += [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    for network in networks:
        if network in used:
            problems.add("networks", f"ERROR - Another NFS share already exports {data['path']} for network {network}")
        for overlapped in [one for one in used if _overlap(one, network)][:1]:
            problems.add(
                "networks",
                f"ERROR - This or another NFS share exports {data['path']} to {overlapped}"
                f" and overlaps network {network}",
            )
    for host in data["hosts"]:
        if host in hosts:
            problems.add("hosts", f"ERROR - Another NFS share already exports {data['path']} for host {host}")


def _check_path(ctx: Ctx, path: str, problems: Problems) -> None:
    problem = pool_problem(ctx, path)
    if problem:
        problems.add("path", problem)
        return
    found = directories.find(ctx, path)
    if found is None or found.path != path:
        problems.add("path", f"The path does not exist: {path}")
    elif found.is_file:
        problems.add("path", "The path must be a directory")


def _check_mapping(data: Entry, problems: Problems) -> None:
    for kind in ("maproot", "mapall"):
        user, group = data[f"{kind}_user"], data[f"{kind}_group"]
        if group and not user:
            problems.add(f"{kind}_user", "This field is required when map group is specified")
            continue
        if user and user not in USERS:
            problems.add(f"{kind}_user", f"User not found: {user:.100}")
        if group and group not in GROUPS:
            problems.add(f"{kind}_group", f"Group not found: {group:.100}")
    if data["maproot_user"] and data["mapall_user"]:
        problems.add("mapall_user", "maproot_user disqualifies mapall_user")


def _clean(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    path = data["path"].rstrip("/")
    data = {**data, "path": path, "aliases": []}
    _check_unique(data, "networks", problems)
    _check_unique(data, "hosts", problems)
    networks = _networks(data["networks"], problems)
    _check_hosts(data["hosts"], problems)
    problems.check()
    _check_path(ctx, path, problems)
    problems.check()
    _check_other_shares(data, networks, NFS_SHARES.find(ctx.db, path=path, but=old["id"] if old else None), problems)
    problems.check()
    _check_mapping(data, problems)
    kerberos = [flavour for flavour in data["security"] if flavour != "SYS"]
    if kerberos and "NFSV4" not in nfs_config(ctx)["protocols"]:
        names = ",".join(kerberos)
        problems.add("security", f"The following security flavor(s) require NFSv4 to be enabled: {names}.")
    if data["expose_snapshots"]:
        problems.add(
            "expose_snapshots", "This is an enterprise feature and may not be enabled without a valid license."
        )
    return {**data, "networks": [str(network) for network in networks]}


def _entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    return [{**load(row), "locked": False} for row in rows]


_NAMES = List(Str(min_length=1))

add_crud(
    nfs_share,
    NFS_SHARES,
    Rules(
        type_name="SharingNFS",
        create=Obj(
            Field("path", Str(min_length=1)),
            Field("aliases", _NAMES, default=()),
            Field("comment", Str(), default=""),
            Field("networks", _NAMES, default=()),
            Field("hosts", _NAMES, default=()),
            Field("ro", Bool(), default=False),
            Field("maproot_user", Nullable(Str()), default=None),
            Field("maproot_group", Nullable(Str()), default=None),
            Field("mapall_user", Nullable(Str()), default=None),
            Field("mapall_group", Nullable(Str()), default=None),
            Field("security", List(Enum("SYS", "KRB5", "KRB5I", "KRB5P")), default=()),
            Field("enabled", Bool(), default=True),
            Field("expose_snapshots", Bool(), default=False),
        ),
        clean=_clean,
        argument=None,
        schema="sharingnfs",
        entries=_entries,
    ),
)


def _config_defaults(ctx: Ctx) -> Config:  # noqa: ARG001 - given shape
    return {
        "servers": _CORES,
        "allow_nonroot": False,
        "protocols": ["NFSV3", "NFSV4"],
        "v4_krb": False,
        "v4_domain": "",
        "bindip": [],
        "mountd_port": None,
        "rpcstatd_port": None,
        "rpclockd_port": None,
        "mountd_log": True,
        "statd_lockd_log": False,
        "v4_krb_enabled": False,
        "userd_manage_gids": False,
        "keytab_has_nfs_spn": False,
        "managed_nfsd": True,
        "rdma": False,
    }


def nfs_config(ctx: Ctx) -> Config:
    """The NFS service's configuration."""
    return read_config(ctx, "nfs", _config_defaults)


def _check_config(ctx: Ctx, config: Config, problems: Problems) -> None:  # noqa: ARG001 - given shape
    if not config["protocols"]:
        problems.add("protocols", 'Must specify at least one value ("NFSV3", "NFSV4") in the "protocols" list.')
    if "NFSV4" not in config["protocols"] and config["v4_domain"]:
        problems.add("v4_domain", "This option does not apply to NFSv3")
    if config["rdma"]:
        problems.add("rdma", "This platform cannot support NFS over RDMA or is missing an RDMA capable NIC.")
    config["managed_nfsd"] = config["servers"] is None or (config["managed_nfsd"] and config["servers"] == _CORES)
    config["servers"] = config["servers"] or _CORES
    config["v4_krb_enabled"] = config["v4_krb"]


_PORT = Nullable(Int(1, 65535))

add_config(
    nfs,
    _config_defaults,
    "nfs_update",
    Obj(
        Field("servers", Nullable(Int(1, 256))),
        Field("allow_nonroot", Bool()),
        Field("protocols", List(Enum("NFSV3", "NFSV4"))),
        Field("v4_krb", Bool()),
        Field("v4_domain", Str()),
        Field("bindip", _NAMES),
        Field("mountd_port", _PORT),
        Field("rpcstatd_port", _PORT),
        Field("rpclockd_port", _PORT),
        Field("mountd_log", Bool()),
        Field("statd_lockd_log", Bool()),
        Field("userd_manage_gids", Bool()),
        Field("rdma", Bool()),
        partial=True,
    ),
    _check_config,
)


@nfs.method("bindip_choices")
def bindip_choices(ctx: Ctx) -> dict[str, str]:  # noqa: ARG001 - every handler gets its context
    """Addresses that the NFS service can be bound to."""
    return {"127.0.0.1": "127.0.0.1"}


@nfs.method("client_count")
def client_count(ctx: Ctx) -> int:  # noqa: ARG001 - every handler gets its context
    """Clients that have something mounted; mounts are not made against this server."""
    return 0
