"""nvmet.host.* and nvmet.host_subsys.*: behaviour and refusals."""

import pytest

NQN = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(("hash_name", "number"), [("SHA-256", 1), ("SHA-384", 2), ("SHA-512", 3)])
def test_generated_keys_are_accepted(box, hash_name, number):
    key = str(box("nvmet.host.generate_key", hash_name))
    assert key.startswith(f"DHHC-1:0{number}:")
    host = box("nvmet.host.create", {"hostnqn": NQN, "dhchap_key": key, "dhchap_hash": hash_name})
    assert host["dhchap_key"] == key


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"hostnqn": NQN}, ".hostnqn", "Object with this hostnqn already exists"),
        (
            {"dhchap_ctrl_key": "DHHC-1:00:x:"},
            "",
            "Value error, Cannot configure bi-directional authentication without setting dhchap_key",
        ),
        (
            {"dhchap_key": "x"},
            ".dhchap_key",
            'Unexpected key format. Use "nvme gen-dhchap-key" to generate.',
        ),
        (
            {"dhchap_key": "DHHC-1:00:x"},
            ".dhchap_key",
            'Unexpected key termination. Use "nvme gen-dhchap-key" to generate.',
        ),
        ({"dhchap_key": "DHHC-1:01:????"}, ".dhchap_key", "Expected key length of 32"),
        ({"dhchap_key": "DHHC-1:03:QUJD:"}, ".dhchap_key", "Expected key length of 64"),
    ],
)
def test_what_does_not_fit_is_refused(box, data, attribute, text):
    box("nvmet.host.create", {"hostnqn": NQN})
    assert box.refused("nvmet.host.create", {"hostnqn": "nqn.2020-01.org.example:2", **data}) == [
        (f"nvmet_host_create{attribute}", text, 22)
    ]


def test_names_must_be_qualified(box):
    assert box.refused("nvmet.host.create", {"hostnqn": "my-host-name"}) == [
        ("nvmet_host_create.hostnqn", 'Value error, my-host-name: must start with "nqn"', 22)
    ]


def test_subscribers_never_see_a_key(box):
    events = box.listen()
    keys = [str(box("nvmet.host.generate_key")) for _ in range(2)]
    box("nvmet.host.create", {"hostnqn": NQN, "dhchap_key": keys[0], "dhchap_ctrl_key": keys[1]})
    box("nvmet.host.update", 1, {"dhchap_dhgroup": "2048-BIT"})
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    link = box("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": subsys})
    assert len(events) == 4
    assert not [key for key in keys if key in str(events)]
    assert (link["host"]["dhchap_key"], link["host"]["dhchap_ctrl_key"]) == tuple(keys)
    assert box("nvmet.host_subsys.query", [["host.id", "=", 1], ["subsys.id", "=", subsys]]) == [link]


def test_a_used_host_is_only_deleted_by_force(box):
    box("nvmet.host.create", {"hostnqn": NQN})
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    box("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": subsys})
    assert box.refused("nvmet.host.delete", 1) == [("nvmet_host_delete.id", f"Host {NQN} used by 1 subsystem: s", 22)]
    assert box("nvmet.host.delete", 1, {"force": True}) is True
    assert box("nvmet.host_subsys.query") == []


def test_a_link_is_made_once_and_between_what_exists(box):
    box("nvmet.host.create", {"hostnqn": NQN})
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    box("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": subsys})
    assert box.refused("nvmet.host_subsys.create", {"host_id": 1, "subsys_id": subsys})[0][1] == (
        f"This record already exists (Host ID: 1/Subsystem ID: {subsys})"
    )
    assert box.refused("nvmet.host_subsys.create", {"host_id": 8, "subsys_id": 9}) == [
        ("nvmet_host_subsys_create.host_id", "No host with ID 8", 22),
        ("nvmet_host_subsys_create.subsys_id", "No subsystem with ID 9", 22),
    ]


def test_choices_are_listed(box):
    assert box("nvmet.host.dhchap_hash_choices") == ["SHA-256", "SHA-384", "SHA-512"]
    assert box("nvmet.host.dhchap_dhgroup_choices")[0] == "2048-BIT"
