"""What drivers look up costs the same however much there is."""

from fake_truenas import share_tables
from fake_truenas.documents import Documents
from tests.fake_truenas.methods.conftest import Box

MANY = 3000
_PORTAL = {"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}


def fill(box: Box, numbers: range) -> None:
    """Rows as the methods would store them, without their checks: only their number matters here."""
    db = box.nas.db
    for n in numbers:
        share_tables.NFS_SHARES.insert(db, {"path": f"/mnt/tank/f{n}", "networks": [], "hosts": []})
        target = {"name": f"t{n}", "alias": f"a{n}", "rel_tgt_id": n + 1, "groups": [_PORTAL]}
        share_tables.ISCSI_TARGETS.insert(db, target)
        disk = f"zvol/tank/v{n}"
        share_tables.ISCSI_EXTENTS.insert(db, {"name": f"e{n}", "path": disk, "disk": disk, "serial": f"s{n}"})
        share_tables.ISCSI_TARGET_EXTENTS.insert(db, {"target": n + 1, "extent": n + 1, "lunid": 0})
        share_tables.NVMET_SUBSYSTEMS.insert(db, {"name": f"n{n}", "subnqn": f"nqn.2020-01.x:n{n}"})
        namespace = {"subsys_id": n + 1, "device_path": f"zvol/tank/w{n}", "nsid": 1}
        share_tables.NVMET_NAMESPACES.insert(db, namespace)
        share_tables.NVMET_PORT_SUBSYSTEMS.insert(db, {"port_id": 1, "subsys_id": n + 1})
        share_tables.NVMET_HOST_SUBSYSTEMS.insert(db, {"host_id": 1, "subsys_id": n + 1})
    db.commit()


CALLS = [
    ("sharing.nfs.query", [["path", "=", "/mnt/tank/f7"]]),
    ("sharing.nfs.query", [["path", "in", ["/mnt/tank/f7", "/mnt/tank/f9"]]]),
    ("sharing.nfs.query", [["path", "=", "/mnt/tank/f7"], ["comment", "=", "x"]]),
    ("sharing.nfs.query", [["path", "^", "/mnt/tank/f7x"]]),
    ("sharing.nfs.query", [["id", ">", 5]], {"limit": 3, "order_by": ["id"]}),
    ("iscsi.target.query", [["name", "=", "t7"]]),
    ("iscsi.target.query", [["alias", "=", "a7"]]),
    ("iscsi.extent.query", [["name", "=", "e7"]]),
    ("iscsi.extent.query", [["disk", "=", "zvol/tank/v7"]]),
    ("iscsi.extent.query", [["path", "=", "zvol/tank/v7"]]),
    ("iscsi.targetextent.query", [["target", "=", 7]]),
    ("iscsi.targetextent.query", [["extent", "=", 7]]),
    ("nvmet.subsys.query", [["name", "=", "n7"]]),
    ("nvmet.subsys.query", [["subnqn", "=", "nqn.2020-01.x:n7"]], {"extra": {"verbose": True}}),
    ("nvmet.namespace.query", [["subsys.id", "=", 7]]),
    ("nvmet.namespace.query", [["device_path", "=", "zvol/tank/w7"]]),
    ("nvmet.port_subsys.query", [["subsys.id", "=", 7]]),
    ("nvmet.port_subsys.query", [["port.id", "=", 1], ["subsys.id", "=", 7]]),
    ("nvmet.host_subsys.query", [["host.id", "=", 1], ["subsys.id", "=", 7]]),
    ("sharing.nfs.create", {"path": "/mnt/tank/fs"}),
    ("iscsi.target.create", {"name": "new", "alias": "new", "groups": [{"portal": 1, "initiator": 1}]}),
    ("iscsi.extent.create", {"name": "new", "disk": "zvol/tank/a"}),
    ("iscsi.targetextent.create", {"target": 5, "extent": 5, "lunid": 0}),
    ("iscsi.targetextent.delete", 6),
    ("nvmet.port_subsys.delete", 6),
    ("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": 6}),
    ("nvmet.host_subsys.delete", 6),
    ("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": 6}),
    ("nvmet.subsys.create", {"name": "new"}),
    ("nvmet.namespace.query", [["nsid", "=", 1], ["subsys.id", "=", 7]]),
    ("nvmet.namespace.create", {"subsys_id": 3, "nsid": 2, "device_type": "ZVOL", "device_path": "zvol/tank/b"}),
    ("iscsi.target.delete", 11),
    ("iscsi.extent.delete", 12),
    ("nvmet.subsys.delete", 13, {"force": True}),
    ("sharing.nfs.delete", 14),
    ("pool.dataset.delete", "tank/c"),
]


def boxed() -> Box:
    box = Box()
    for name in ("a", "b", "c"):
        box.zvol(f"tank/{name}")
    box.filesystem("tank/fs")
    box("nvmet.host.create", {"hostnqn": "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"})
    return box


def test_lookups_and_changes_cost_the_same_however_much_there_is():
    few, many = boxed(), boxed()
    fill(few, range(20))
    fill(many, range(MANY))
    for box in (few, many):  # the extent of targetextent.create must be free
        box("iscsi.targetextent.delete", 5)
    costs = [(call, few.steps(*call), many.steps(*call)) for call in CALLS]
    dear = [(call, small, big) for call, small, big in costs if big > small + 5]
    assert dear == []
    few.nas.close()
    many.nas.close()


def test_every_index_is_used():
    box = Box()
    tables = [value for value in vars(share_tables).values() if isinstance(value, Documents)]
    assert len(tables) == 14
    for table in tables:
        for columns in table.indexes or [(column,) for column in table.columns]:
            where = " and ".join(f'"{column}" = ?' for column in columns)
            sql = f"explain query plan select doc from {table.table} where {where} order by id"  # noqa: S608
            assert "USING INDEX" in box.nas.db.one(sql, (1,) * len(columns))["detail"]
    box.nas.close()
