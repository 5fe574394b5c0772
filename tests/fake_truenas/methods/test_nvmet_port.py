"""nvmet.port.* and nvmet.port_subsys.*: behaviour and refusals."""

import pytest

TCP = {"addr_trtype": "TCP", "addr_traddr": "10.0.0.1", "addr_trsvcid": 4420}


def test_a_new_nas_listens_on_one_port(box):
    [port] = box("nvmet.port.query")
    assert (port["id"], port["addr_trtype"], port["addr_trsvcid"], port["addr_adrfam"]) == (1, "TCP", 4420, "IPV4")


def test_ports_get_an_index_and_an_address_family(box):
    port = box("nvmet.port.create", {**TCP, "addr_traddr": "fd00::1"})
    assert (port["index"], port["addr_adrfam"], port["enabled"]) == (2, "IPV6", True)
    assert box("nvmet.port.update", 2, {"addr_trsvcid": 5000})["addr_trsvcid"] == 5000


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"addr_traddr": "host"}, "TCP.addr_traddr", "Value error, value is not a valid IPv4 or IPv6 address"),
        ({"addr_traddr": ""}, "TCP.addr_traddr", "Value error, addr_traddr is required"),
        ({"addr_trsvcid": "4420"}, "TCP.addr_trsvcid", "Input should be a valid integer"),
        ({"addr_trsvcid": 80}, "TCP.addr_trsvcid", "Input should be greater than or equal to 1024"),
        ({}, "addr_traddr", "There already is a port using the same transport and address"),
        (
            {"addr_trtype": "RDMA"},
            "addr_trtype",
            "This platform cannot support NVMe-oF(RDMA) or is missing an RDMA capable NIC.",
        ),
        ({"addr_trtype": "FC"}, "FC.addr_trsvcid", "Extra inputs are not permitted"),
        ({"addr_adrfam": "IPV4"}, "TCP.addr_adrfam", "Extra inputs are not permitted"),
        (
            {"addr_trtype": "IB"},
            "",
            "Input tag 'IB' found using 'addr_trtype' does not match any of the expected tags: 'TCP', 'RDMA', 'FC'",
        ),
        ({"addr_trtype": 1}, "", "Unable to extract tag using discriminator 'addr_trtype'"),
    ],
)
def test_what_does_not_fit_is_refused(box, data, attribute, text):
    box("nvmet.port.create", TCP)
    path = f"nvmet_port_create.{attribute}" if attribute else "nvmet_port_create"
    assert box.refused("nvmet.port.create", {**TCP, **data}) == [(path, text, 22)]


def test_a_port_over_fibre_channel_is_not_licensed(box):
    refused = box.refused("nvmet.port.create", {"addr_trtype": "FC", "addr_traddr": "0x2000"})
    assert refused == [("nvmet_port_create.addr_trtype", "Fibre Channel not enabled", 22)]


def test_a_port_has_the_usual_number_unless_another_is_given(box):
    assert box("nvmet.port.create", {"addr_trtype": "TCP", "addr_traddr": "fd00::1"})["addr_trsvcid"] == 4420


def test_while_the_daemon_is_stopped_a_used_port_can_be_changed(box):
    subsys = box("nvmet.subsys.create", {"name": "a"})["id"]
    box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys})
    box("service.stop", "nvmet")
    assert box("nvmet.port.update", 1, {"addr_trsvcid": 5000})["addr_trsvcid"] == 5000


def test_a_used_port_is_only_changed_when_disabled_and_deleted_by_force(box):
    for name in ("a", "b"):
        subsys = box("nvmet.subsys.create", {"name": name})["id"]
        box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys})
    text = "Cannot change addr_trsvcid on an active port.  Disable first to allow change."
    assert box.refused("nvmet.port.update", 1, {"addr_trsvcid": 5000}) == [("nvmet_port_update.addr_trsvcid", text, 22)]
    box("nvmet.port.update", 1, {"enabled": False})
    assert box("nvmet.port.update", 1, {"addr_trsvcid": 5000})["addr_trsvcid"] == 5000
    assert box.refused("nvmet.port.delete", 1) == [("nvmet_port_delete.id", "Port #1 used by 2 subsystems: a,b", 22)]
    assert box("nvmet.port.delete", 1, {"force": True}) is True
    assert box("nvmet.port_subsys.query") == []


def test_a_link_shows_both_sides(box):
    subsys = box("nvmet.subsys.create", {"name": "s"})
    link = box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys["id"]})
    assert link == {"id": 1, "port": box("nvmet.port.get_instance", 1), "subsys": subsys}
    for field, value in (("subsys.id", subsys["id"]), ("port.id", 1), ("subsys.name", "s")):
        assert box("nvmet.port_subsys.query", [[field, "=", value]]) == [link]


def test_a_link_is_made_once_and_between_what_exists(box):
    subsys = box("nvmet.subsys.create", {"name": "s"})["id"]
    box("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys})
    assert box.refused("nvmet.port_subsys.create", {"port_id": 1, "subsys_id": subsys}) == [
        ("nvmet_port_subsys_create.port_id", f"This record already exists (Host ID: 1/Subsystem ID: {subsys})", 22)
    ]
    assert box.refused("nvmet.port_subsys.create", {"port_id": 8, "subsys_id": 9}) == [
        ("nvmet_port_subsys_create.port_id", "No port with ID 8", 22),
        ("nvmet_port_subsys_create.subsys_id", "No subsystem with ID 9", 22),
    ]
    assert box("nvmet.port_subsys.delete", 1) is True


def test_address_choices_are_offered_for_tcp(box):
    assert "127.0.0.1" in box("nvmet.port.transport_address_choices", "TCP", False)
    assert box("nvmet.port.transport_address_choices", "RDMA") == {}
