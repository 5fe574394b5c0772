"""nvmet.subsys.* and nvmet.namespace.*: behaviour and refusals."""

import re

import pytest

from fake_truenas.errors import Unexpected


def namespace(box, subsys: int, zvol: str, **more) -> dict:
    return box(
        "nvmet.namespace.create", {"subsys_id": subsys, "device_type": "ZVOL", "device_path": f"zvol/{zvol}", **more}
    )


@pytest.fixture
def subsys(box) -> int:
    return box("nvmet.subsys.create", {"name": "s"})["id"]


def test_a_subsystem_has_the_real_entry(box):
    entry = box("nvmet.subsys.create", {"name": "pvc-1"})
    assert entry.pop("subnqn") == f"{box('nvmet.global.config')['basenqn']}:pvc-1"
    assert re.fullmatch(r"[0-9a-f]{20}", entry.pop("serial"))
    assert entry == {
        "id": 1, "name": "pvc-1", "allow_any_host": False, "pi_enable": None, "qid_max": None, "ieee_oui": None, "ana": None,
    }  # fmt: skip
    assert box("nvmet.subsys.query", [["name", "=", "pvc-1"]], {"count": True}) == 1


@pytest.mark.parametrize("field", ["nqn", "serial", "hosts"])
def test_fields_that_create_does_not_have_are_refused(box, field):
    assert box.refused("nvmet.subsys.create", {"name": "x", field: "x"}) == [
        (f"nvmet_subsys_create.{field}", "Extra inputs are not permitted", 22)
    ]


def test_names_are_unique(box, subsys):
    assert box.refused("nvmet.subsys.create", {"name": "s"}) == [
        ("nvmet_subsys_create.name", "Object with this name already exists", 22)
    ]
    nqn = box("nvmet.subsys.get_instance", subsys)["subnqn"]
    with pytest.raises(Unexpected) as caught:  # nobody checks: the database refuses it
        box("nvmet.subsys.create", {"name": "t", "subnqn": nqn})
    column = "services_nvmet_subsys.nvmet_subsys_subnqn"
    assert caught.value.reason == f"(sqlite3.IntegrityError) UNIQUE constraint failed: {column}"
    assert box("nvmet.subsys.query", [], {"count": True}) == 1
    assert box.refused("nvmet.subsys.create", {"name": "t", "subnqn": "x"})[0][0] == "nvmet_subsys_create.subnqn"
    assert box("nvmet.subsys.update", subsys, {"name": "s", "allow_any_host": True})["allow_any_host"] is True


def test_id_lists_come_on_request_only(box, subsys):
    box.zvol("tank/v")
    namespace(box, subsys, "tank/v")
    box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys})
    host = box(
        "nvmet.host.create", {"hostnqn": "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"}
    )["id"]
    box("nvmet.host_subsys.create", {"host_id": host, "subsys_id": subsys})
    assert "hosts" not in box("nvmet.subsys.get_instance", subsys)
    entry = box("nvmet.subsys.query", [["id", "=", subsys]], {"extra": {"verbose": True}, "get": True})
    assert (entry["hosts"], entry["namespaces"], entry["ports"]) == ([host], [1], [1])


def test_a_subsystem_with_namespaces_or_ports_is_only_deleted_by_force(box, subsys):
    for number in range(4):
        box.zvol(f"tank/v{number}")
        namespace(box, subsys, f"tank/v{number}")
    box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys})
    assert box.refused("nvmet.subsys.delete", subsys) == [
        ("nvmet_subsys_delete.id", "Subsystem s contains 4 namespaces: 1,2,3,...", 22),
        ("nvmet_subsys_delete.id", "Subsystem s visible on 1 port", 22),
    ]
    assert box("nvmet.subsys.delete", subsys, {"force": True}) is True
    assert box("nvmet.namespace.query") == box("nvmet.port_subsys.query") == []


def test_a_namespace_has_the_real_entry(box, subsys):
    box.zvol("tank/v")
    entry = namespace(box, subsys, "tank/v")
    for field in ("device_uuid", "device_nguid"):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", entry.pop(field))
    assert entry.pop("subsys") == box("nvmet.subsys.get_instance", subsys)
    assert entry == {
        "id": 1, "nsid": 1, "device_type": "ZVOL", "device_path": "zvol/tank/v", "filesize": None, "enabled": True,
        "locked": False,
    }  # fmt: skip
    for field, value in (("subsys.id", subsys), ("subsys_id", subsys), ("device_path", "zvol/tank/v"), ("nsid", 1)):
        assert box("nvmet.namespace.query", [[field, "=", value]], {"count": True}) == 1
    assert box("nvmet.namespace.query", [["subsys.id", "=", subsys + 1]]) == []


def test_namespace_numbers_are_given_from_one_without_gaps(box, subsys):
    for number in range(3):
        box.zvol(f"tank/v{number}")
    assert [namespace(box, subsys, f"tank/v{number}")["nsid"] for number in range(2)] == [1, 2]
    box("nvmet.namespace.delete", 1)
    assert namespace(box, subsys, "tank/v2")["nsid"] == 1


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"device_path": "tank/w"}, "device_path", 'ZVOL device_path must start with "zvol/": tank/w'),
        ({"device_path": "zvol/tank/x"}, "device_path", "ZVOL device_path must be a block device: zvol/tank/x"),
        ({"device_path": "zvol/tank/v"}, "device_path", "This device_path already used by subsystem: s"),
        ({"device_path": "zvol/tank/e"}, "device_path", "This device_path already used by iSCSI extent: e"),
        ({"subsys_id": 9}, "subsys_id", "No subsystem with ID 9"),
        ({"nsid": 5}, "nsid", "This record already exists (Subsystem ID: 1/NSID: 5)"),
        (
            {"device_type": "FILE", "device_path": "/mnt/tank/no/f"},
            "device_path",
            "FILE device_path must reside in an existing directory within volume mount point: /mnt/tank/no/f",
        ),
        (
            {"device_type": "FILE", "device_path": "/mnt/tank/f"},
            "filesize",
            "Must supply filesize if device_path FILE does not exist.",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(box, subsys, data, attribute, text):
    for name in ("v", "w", "e"):
        box.zvol(f"tank/{name}")
    namespace(box, subsys, "tank/v", nsid=5)
    box("iscsi.extent.create", {"name": "e", "disk": "zvol/tank/e"})
    base = {"subsys_id": subsys, "device_type": "ZVOL", "device_path": "zvol/tank/w"}
    assert box.refused("nvmet.namespace.create", {**base, **data}) == [
        (f"nvmet_namespace_create.{attribute}", text, 22)
    ]


def test_an_active_namespace_only_lets_itself_be_disabled(box, subsys):
    for name in ("v", "w"):
        box.zvol(f"tank/{name}")
    entry = namespace(box, subsys, "tank/v")
    text = "Cannot change device_path on an active namespace.  Disable first to allow change."
    change = {"device_path": "zvol/tank/w"}
    assert box.refused("nvmet.namespace.update", 1, change) == [("nvmet_namespace_update", text, 22)]
    assert box("nvmet.namespace.update", 1, {"enabled": False}) == {**entry, "enabled": False}
    assert box("nvmet.namespace.update", 1, change)["device_path"] == "zvol/tank/w"


def test_a_zvol_takes_its_namespace_with_it_and_the_subsystem_stays(box, subsys):
    box.zvol("tank/v")
    namespace(box, subsys, "tank/v")
    events = box.listen()
    box("pool.dataset.delete", "tank/v")
    assert box("nvmet.namespace.query") == []
    assert box("nvmet.subsys.query", [], {"count": True}) == 1
    assert ("nvmet.namespace.query", "removed", 1, None) in events


def test_a_connected_host_keeps_the_zvol(box):
    box.zvol("tank/v")
    subsys = box("nvmet.subsys.create", {"name": "s", "allow_any_host": True})
    namespace(box, subsys["id"], "tank/v")
    session = {
        "protocol": "nvmet",
        "name": subsys["subnqn"],
        "initiator": "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555",
    }
    box("fake.block.connect", session)
    assert box.failed("pool.dataset.delete", "tank/v")[0] == 16
    assert (box("nvmet.namespace.query"), len(box("nvmet.subsys.query"))) == ([], 1)
    assert box("pool.dataset.delete", "tank/v") is True


def test_a_namespace_does_not_follow_a_renamed_zvol(box, subsys):
    box.zvol("tank/v")
    namespace(box, subsys, "tank/v")
    box("pool.dataset.rename", "tank/v", {"new_name": "tank/w", "force": True})
    assert box("nvmet.namespace.get_instance", 1)["device_path"] == "zvol/tank/v"


def test_the_file_of_a_namespace_is_made_grows_and_goes_on_request(box, subsys):
    shown = {"subsys_id": subsys, "device_type": "FILE", "device_path": "/mnt/tank/f", "filesize": 512}
    box("nvmet.namespace.create", shown)
    box("nvmet.namespace.update", 1, {"filesize": 1024})
    assert box("filesystem.stat", "/mnt/tank/f")["size"] == 1024
    text = "Shrinking an namespace file is not allowed. This can lead to data loss."
    assert box.refused("nvmet.namespace.update", 1, {"filesize": 512}) == [
        ("nvmet_namespace_update.filesize", text, 22)
    ]
    assert box("nvmet.namespace.delete", 1) is True
    assert box("nvmet.namespace.create", {**shown, "filesize": None})["filesize"] is None
    assert box("nvmet.namespace.delete", 2, {"remove": True}) is True
    assert box.failed("filesystem.stat", "/mnt/tank/f") == (2, "[ENOENT] Path /mnt/tank/f not found")


def test_a_file_of_a_namespace_is_not_a_directory_and_inside_of_a_pool(box, subsys):
    box.filesystem("tank/fs")
    inside = "FILE device_path must reside in an existing directory within volume mount point: "
    for path, text in (
        ("/mnt/tank/fs", "FILE device_path must not be a directory: /mnt/tank/fs"),
        ("/mnt/f", f"{inside}/mnt/f"),
        ("/etc/f", f"{inside}/etc/f"),
        ("f", f"{inside}f"),
    ):
        data = {"subsys_id": subsys, "device_type": "FILE", "device_path": path, "filesize": 512}
        assert box.refused("nvmet.namespace.create", data) == [("nvmet_namespace_create.device_path", text, 22)]


def test_a_file_system_takes_the_namespaces_of_its_files_with_it(box, subsys):
    box.filesystem("tank/fs")
    for path in ("/mnt/tank/fs/f", "/mnt/tank/f"):
        box(
            "nvmet.namespace.create",
            {"subsys_id": subsys, "device_type": "FILE", "device_path": path, "filesize": 512},
        )
    assert box("pool.dataset.delete", "tank/fs") is True
    assert [found["device_path"] for found in box("nvmet.namespace.query")] == ["/mnt/tank/f"]


def test_while_the_daemon_is_stopped_a_namespace_can_be_changed(box, subsys):
    for name in ("a", "b"):
        box.zvol(f"tank/{name}")
    data = {"subsys_id": subsys, "device_type": "ZVOL", "device_path": "zvol/tank/a"}
    box("nvmet.namespace.create", data)
    box("service.stop", "nvmet")
    assert box("nvmet.namespace.update", 1, {"device_path": "zvol/tank/b"})["device_path"] == "zvol/tank/b"
