"""nvmet.global.*: the NVMe-oF service as a whole, and who is connected to it (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas.block_sessions import NVMET, list_sessions
from fake_truenas.config_row import Config, add_config, read_config
from fake_truenas.context import Ctx
from fake_truenas.documents import Documents, Problems, remove
from fake_truenas.errors import invalid
from fake_truenas.nqn import NQN
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Obj
from fake_truenas.share_tables import NVMET_PORTS, NVMET_SUBSYSTEMS

nvmet_global = Namespace("nvmet.global", since="25.10")
namespaces = (nvmet_global,)


def _defaults(ctx: Ctx) -> Config:
    return {
        "basenqn": f"nqn.2011-06.com.truenas:uuid:{ctx.nas.new_uuid()}",
        "kernel": True,
        "ana": False,
        "rdma": False,
        "xport_referral": True,
    }


def nvmet_config(ctx: Ctx) -> Config:
    """The NVMe-oF service's configuration."""
    return read_config(ctx, "nvmet.global", _defaults)


def remove_links(ctx: Ctx, kind: str, links: Documents, own: int, shown: str, *, force: bool) -> None:
    """Take a host or port (`kind`) off its subsystems, before it goes itself.

    Raises:
        ValidationErrors: it is on some, and that is not to be forced.
    """
    found = links.find(ctx.db, **{f"{kind}_id": own})
    if found and not force:
        subsystems = NVMET_SUBSYSTEMS.by_id(ctx.db, (link["subsys_id"] for link in found[:3]))
        names = ",".join(each["name"] for each in subsystems.values()) + (",..." if len(found) > 3 else "")
        count = "1 subsystem" if len(found) == 1 else f"{len(found)} subsystems"
        raise invalid(f"nvmet_{kind}_delete.id", f"{shown} used by {count}: {names}")
    for link in found:
        remove(ctx, f"nvmet.{kind}_subsys", links, link["id"])


def _check(ctx: Ctx, config: Config, problems: Problems) -> None:  # noqa: ARG001 - given shape
    if config["ana"]:
        problems.add("ana", "This platform does not support Asymmetric Namespace Access(ANA).")
    if config["rdma"]:
        problems.add("rdma", "This platform cannot support NVMe-oF(RDMA) or is missing an RDMA capable NIC.")


add_config(
    nvmet_global,
    _defaults,
    "nvmet_update",
    Obj(
        Field("basenqn", NQN),
        Field("kernel", Bool()),
        Field("ana", Bool()),
        Field("rdma", Bool()),
        Field("xport_referral", Bool()),
        partial=True,
    ),
    _check,
)


@nvmet_global.method("ana_enabled")
def ana_enabled(ctx: Ctx) -> bool:
    """Whether ANA is on; never on a system without a second controller."""
    return bool(nvmet_config(ctx)["ana"])


@nvmet_global.method("rdma_enabled")
def rdma_enabled(ctx: Ctx) -> bool:
    """Whether RDMA is on."""
    return bool(nvmet_config(ctx)["rdma"])


@nvmet_global.method("sessions", *QUERY_PARAMS)
def sessions(ctx: Ctx, filters: list[Any], options: dict[str, Any]) -> Any:
    """The hosts that are connected."""
    ports = NVMET_PORTS.find(ctx.db)
    entries = [
        {
            "host_traddr": session.address,
            "hostnqn": session.initiator,
            "subsys_id": session.owner,
            "port_id": session.port if session.port is not None else (ports[0]["id"] if ports else 0),
            "ctrl": session.id,
        }
        for session in list_sessions(ctx.db, NVMET)
    ]
    return filter_list(entries, filters, options)
