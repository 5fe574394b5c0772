"""nvmet.global.*: the NVMe-oF service as a whole, and who is connected to it (TrueNAS API 25.10)."""

from typing import Any

from fake_truenas.block_sessions import NVMET, list_sessions
from fake_truenas.config_row import Config, add_config, read_config
from fake_truenas.context import Ctx
from fake_truenas.documents import Problems
from fake_truenas.query import QUERY_PARAMS, filter_list
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Field, Obj, Str
from fake_truenas.share_tables import NVMET_PORTS

nvmet_global = Namespace("nvmet.global", since="25.10")
namespaces = (nvmet_global,)

NQN = Str(min_length=11, max_length=223, pattern=r"^nqn\.\d{4}-(0[1-9]|1[0-2])\..+")
"""An NVMe qualified name."""


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
