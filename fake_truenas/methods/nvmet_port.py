"""nvmet.port.* and nvmet.port_subsys.*: where NVMe-oF listens, and which subsystem shows there (TrueNAS API 25.10)."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from fake_truenas.checked import Checked
from fake_truenas.context import Ctx
from fake_truenas.crud import Entry
from fake_truenas.documents import Problems, Rules, add_crud, load
from fake_truenas.methods.nvmet_global import remove_links
from fake_truenas.registry import Namespace
from fake_truenas.schema import Bool, Check, Enum, Field, Int, Nullable, Obj, Problem, Str
from fake_truenas.services import running
from fake_truenas.share_tables import NVMET_PORT_SUBSYSTEMS, NVMET_PORTS, NVMET_SUBSYSTEMS
from fake_truenas.store import Row

_FIRST_PORT = {
    "index": 1,
    "addr_trtype": "TCP",
    "addr_trsvcid": 4420,
    "addr_traddr": "0.0.0.0",  # noqa: S104 - an address to be told, not to bind to
    "addr_adrfam": "IPV4",
    "inline_data_size": None,
    "max_queue_size": None,
    "pi_enable": None,
    "enabled": True,
}
_TRANSPORTS = Enum("TCP", "RDMA", "FC")

port = Namespace("nvmet.port", since="25.10", tables=NVMET_PORTS.sql([_FIRST_PORT]))
port_subsys = Namespace("nvmet.port_subsys", since="25.10", tables=NVMET_PORT_SUBSYSTEMS.sql())
namespaces = (port, port_subsys)


def _address_problem(text: str) -> str | None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return "value is not a valid IPv4 or IPv6 address" if text else "addr_traddr is required"
    return None


class _Port(Obj):
    """What a port is made of; its transport decides which members there are, and refusals name it in their path."""

    __slots__ = ()

    def compile(self) -> Check:
        """Compile."""
        over_ip = super().compile()
        over_fc = Obj(*_FC, *_MORE, partial=self.partial).compile()
        named = not self.partial

        def check(value: Any, problems: list[Problem]) -> Any:
            if type(value) is not dict:
                return over_ip(value, problems)
            kind = value.get("addr_trtype", None if named else "TCP")
            if kind not in _TRANSPORTS.values:
                problems.append(("", _tag_problem(kind)))
                return value
            found: list[Problem] = []
            result = (over_fc if kind == "FC" else over_ip)(value, found)
            problems.extend((f"{kind}.{path}" if named else path, text) for path, text in found)
            return result

        return check


def _tag_problem(kind: Any) -> str:
    if not isinstance(kind, str):
        return "Unable to extract tag using discriminator 'addr_trtype'"
    return (
        f"Input tag '{kind:.60}' found using 'addr_trtype' does not match any of the expected tags: 'TCP', 'RDMA', 'FC'"
    )


_MORE = (
    Field("inline_data_size", Nullable(Int()), default=None),
    Field("max_queue_size", Nullable(Int()), default=None),
    Field("pi_enable", Nullable(Bool()), default=None),
    Field("enabled", Bool(), default=True),
)
_FC = (Field("addr_trtype", Enum("FC")), Field("addr_traddr", Str(min_length=1)))
_MEMBERS = (
    Field("addr_trtype", Enum("TCP", "RDMA")),
    Field("addr_trsvcid", Int(1024, 65535), default=4420),
    Field("addr_traddr", Checked(Str(), _address_problem)),
    *_MORE,
)


def _clean_port(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    own = old["id"] if old else None
    data = {"addr_trsvcid": None, **data}
    for other in NVMET_PORTS.find(ctx.db, addr_traddr=data["addr_traddr"], but=own):
        if all(other[key] == data[key] for key in ("addr_trtype", "addr_trsvcid")):
            problems.add("addr_traddr", "There already is a port using the same transport and address")
    if data["addr_trtype"] == "RDMA":
        text = "This platform cannot support NVMe-oF(RDMA) or is missing an RDMA capable NIC."
        problems.add("addr_trtype", text)
    elif data["addr_trtype"] == "FC":
        problems.add("addr_trtype", "Fibre Channel not enabled")
    if old and old["enabled"] and running(ctx.db, "nvmet") and NVMET_PORT_SUBSYSTEMS.find(ctx.db, port_id=own):
        for key, before in old.items():
            if key in data and key != "enabled" and data[key] != before:
                problems.add(key, f"Cannot change {key} on an active port.  Disable first to allow change.")
    problems.check()
    index = old["index"] if old else (ctx.db.value('select max("index") from nvmet_port') or 0) + 1
    family = f"IPV{ipaddress.ip_address(data['addr_traddr']).version}"
    return {**data, "index": index, "addr_adrfam": family}


def _remove_port(ctx: Ctx, entry: Entry, options: Mapping[str, Any]) -> None:
    remove_links(ctx, "port", NVMET_PORT_SUBSYSTEMS, entry["id"], f"Port #{entry['index']}", force=options["force"])


add_crud(
    port,
    NVMET_PORTS,
    Rules(
        type_name="NVMetPort",
        create=_Port(*_MEMBERS),
        update=_Port(*_MEMBERS, partial=True),
        clean=_clean_port,
        argument="nvmet_port",
        schema="nvmet_port",
        removed=_remove_port,
        delete_params=(Field("options", Obj(Field("force", Bool(), default=False)), default={}),),
    ),
)


@port.method("transport_address_choices", Field("addr_trtype", _TRANSPORTS), Field("force_ana", Bool(), default=False))
def transport_address_choices(ctx: Ctx, transport: str, force_ana: bool) -> dict[str, str]:  # noqa: ARG001 - given shape
    """Addresses that a port of the transport can have."""
    if transport != "TCP" or force_ana:
        return {}
    return {address: address for address in ("0.0.0.0", "::", "127.0.0.1")}  # noqa: S104 - told, not bound


def _clean_link(ctx: Ctx, data: Entry, old: Entry | None, problems: Problems) -> Entry:
    port_id, subsys_id = data["port_id"], data["subsys_id"]
    if NVMET_PORTS.get(ctx.db, port_id) is None:
        problems.add("port_id", f"No port with ID {port_id}")
    if NVMET_SUBSYSTEMS.get(ctx.db, subsys_id) is None:
        problems.add("subsys_id", f"No subsystem with ID {subsys_id}")
    if NVMET_PORT_SUBSYSTEMS.find(ctx.db, subsys_id=subsys_id, port_id=port_id, but=old["id"] if old else None):
        problems.add("port_id", f"This record already exists (Host ID: {port_id}/Subsystem ID: {subsys_id})")
    return {"port_id": port_id, "subsys_id": subsys_id}


def _link_entries(ctx: Ctx, rows: Sequence[Row], extra: Mapping[str, Any]) -> list[Entry]:  # noqa: ARG001 - given shape
    links = [load(row) for row in rows]
    ports = NVMET_PORTS.by_id(ctx.db, (link["port_id"] for link in links))
    subsystems = NVMET_SUBSYSTEMS.by_id(ctx.db, (link["subsys_id"] for link in links))
    return [
        {"id": link["id"], "port": ports[link["port_id"]], "subsys": subsystems[link["subsys_id"]]} for link in links
    ]


add_crud(
    port_subsys,
    NVMET_PORT_SUBSYSTEMS,
    Rules(
        type_name="NVMetPortSubsys",
        create=Obj(Field("port_id", Int()), Field("subsys_id", Int())),
        clean=_clean_link,
        argument="nvmet_port_subsys",
        schema="nvmet_port_subsys",
        entries=_link_entries,
        aliases={"port.id": "port_id", "subsys.id": "subsys_id"},
    ),
)
