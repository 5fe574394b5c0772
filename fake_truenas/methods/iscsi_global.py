"""iscsi.global.*: the iSCSI service as a whole, and who is connected to it (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas import config_row
from fake_truenas.block_sessions import ISCSI, TABLES, list_sessions
from fake_truenas.config_row import Config, add_config, read_config
from fake_truenas.context import Ctx
from fake_truenas.documents import Problems
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Int, List, Nullable, Obj, Str
from fake_truenas.share_tables import ISCSI_TARGETS

iscsi_global = Namespace("iscsi.global", tables=config_row.TABLES + TABLES)
namespaces = (iscsi_global,)


def _defaults(ctx: Ctx) -> Config:  # noqa: ARG001 - given shape
    return {
        "basename": "iqn.2005-10.org.freenas.ctl",
        "isns_servers": [],
        "listen_port": 3260,
        "pool_avail_threshold": None,
        "alua": False,
        "iser": False,
    }


def global_config(ctx: Ctx) -> Config:
    """The iSCSI service's configuration."""
    return read_config(ctx, "iscsi.global", _defaults)


def target_iqn(ctx: Ctx, name: str) -> str:
    """The IQN under which a target is seen: its name, if that is a full one, else the base name and it."""
    return name if name.startswith(("iqn.", "naa.", "eui.")) else f"{global_config(ctx)['basename']}:{name}"


def _check(ctx: Ctx, config: Config, problems: Problems) -> None:  # noqa: ARG001 - given shape
    for server in config["isns_servers"]:
        if not server or " " in server:
            problems.add("isns_servers", f"{server!r:.60} is not a host and port.")
    if config["alua"]:
        problems.add("alua", "ALUA is only available on licensed high availability systems.")
    if config["iser"]:
        problems.add("iser", "This platform cannot support iSER or is missing an RDMA capable NIC.")


add_config(
    iscsi_global,
    _defaults,
    "iscsi_update",
    Obj(
        Field("basename", Str(min_length=1, max_length=120)),
        Field("isns_servers", List(Str())),
        Field("listen_port", Int(1025, 65535)),
        Field("pool_avail_threshold", Nullable(Int(1, 99))),
        Field("alua", Bool()),
        Field("iser", Bool()),
        partial=True,
    ),
    _check,
)


@iscsi_global.method("sessions", *QUERY_PARAMS)
def sessions(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """The initiators that are logged in."""
    opened = list_sessions(ctx.db, ISCSI)
    targets = ISCSI_TARGETS.by_id(ctx.db, (session.owner for session in opened))
    entries = [
        {
            "initiator": session.initiator,
            "initiator_addr": session.address,
            "initiator_alias": None,
            "target": target_iqn(ctx, targets[session.owner]["name"]),
            "target_alias": targets[session.owner]["alias"] or "",
            "header_digest": None,
            "data_digest": None,
            "max_data_segment_length": None,
            "max_receive_data_segment_length": 1048576,
            "max_xmit_data_segment_length": 262144,
            "max_burst_length": 1048576,
            "first_burst_length": 65536,
            "immediate_data": True,
            "iser": False,
            "offload": False,
        }
        for session in opened
    ]
    return filter_list(entries, filters, options)


@iscsi_global.method("client_count")
def client_count(ctx: Ctx) -> int:
    """How many initiators are logged in, each counted once."""
    return len({session.initiator for session in list_sessions(ctx.db, ISCSI)})


@iscsi_global.method("alua_enabled")
def alua_enabled(ctx: Ctx) -> bool:
    """Whether ALUA is on; never on a system without a second controller."""
    return bool(global_config(ctx)["alua"])


@iscsi_global.method("iser_enabled")
def iser_enabled(ctx: Ctx) -> bool:
    """Whether iSER is on."""
    return bool(global_config(ctx)["iser"])
