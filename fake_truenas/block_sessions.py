"""Who is connected to which block target: the initiators' side of iSCSI and NVMe-oF."""

from dataclasses import dataclass

from fake_truenas.store import Row, Store

TABLES = """
create table block_session (
  id integer primary key autoincrement,
  protocol text not null,
  owner integer not null,
  initiator text not null,
  address text not null,
  port integer
);
create index block_session_owner on block_session (protocol, owner);
"""

ISCSI = "iscsi"
NVMET = "nvmet"


@dataclass(frozen=True, slots=True)
class Session:
    """One connection.

    Attributes:
        id: number of the session.
        protocol: `ISCSI` or `NVMET`.
        owner: id of the iSCSI target or of the NVMe subsystem.
        initiator: IQN or NQN of the client.
        address: its network address.
        port: id of the nvmet port; None for iSCSI.
    """

    id: int
    protocol: str
    owner: int
    initiator: str
    address: str
    port: int | None


def open_session(db: Store, protocol: str, owner: int, initiator: str, address: str, port: int | None = None) -> int:
    """Note a connection; gives the session's id."""
    return db.insert(
        "insert into block_session (protocol, owner, initiator, address, port) values (?, ?, ?, ?, ?)",
        (protocol, owner, initiator, address, port),
    )


def close_session(db: Store, session_id: int) -> bool:
    """Forget a connection; False if there was none."""
    return db.run("delete from block_session where id = ?", (session_id,)) > 0


def drop_sessions(db: Store, protocol: str, owner: int) -> None:
    """Forget all connections of a target or subsystem."""
    db.run("delete from block_session where protocol = ? and owner = ?", (protocol, owner))


def drop_all_sessions(db: Store, protocol: str) -> None:
    """Forget all connections of a protocol: its daemon has stopped."""
    db.run("delete from block_session where protocol = ?", (protocol,))


def has_session(db: Store, protocol: str, owner: int) -> bool:
    """Whether anyone is connected to the target or subsystem."""
    return db.one("select 1 from block_session where protocol = ? and owner = ? limit 1", (protocol, owner)) is not None


def list_sessions(db: Store, protocol: str) -> list[Session]:
    """All connections of a protocol, oldest first."""
    return [_load(row) for row in db.rows("select * from block_session where protocol = ? order by id", (protocol,))]


def _load(row: Row) -> Session:
    return Session(row["id"], row["protocol"], row["owner"], row["initiator"], row["address"], row["port"])
