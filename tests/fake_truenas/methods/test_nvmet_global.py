"""nvmet.global.*: behaviour and refusals."""

import re


def test_the_base_name_is_made_once(box):
    config = box("nvmet.global.config")
    assert re.fullmatch(r"nqn\.2011-06\.com\.truenas:uuid:[0-9a-f-]{36}", config.pop("basenqn"))
    assert config == {"id": 1, "kernel": True, "ana": False, "rdma": False, "xport_referral": True}
    assert box("nvmet.global.config") == box("nvmet.global.config")
    assert (box("nvmet.global.ana_enabled"), box("nvmet.global.rdma_enabled")) == (False, False)


def test_updates_are_kept_and_checked(box):
    assert box("nvmet.global.update", {"basenqn": "nqn.2020-01.org.example"})["basenqn"] == "nqn.2020-01.org.example"
    assert box("nvmet.subsys.create", {"name": "s"})["subnqn"] == "nqn.2020-01.org.example:s"
    for data, attribute in (({"ana": True}, "ana"), ({"rdma": True}, "rdma"), ({"basenqn": "x"}, "basenqn")):
        assert box.refused("nvmet.global.update", data)[0][0] == f"nvmet_update.{attribute}"


def test_connected_hosts_are_listed(box):
    subsys = box("nvmet.subsys.create", {"name": "s", "allow_any_host": True})
    nqn = "nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555"
    box("fake.block.connect", {"protocol": "nvmet", "name": subsys["subnqn"], "initiator": nqn})
    assert box("nvmet.global.sessions", [["subsys_id", "=", subsys["id"]]]) == [
        {"host_traddr": "127.0.0.1", "hostnqn": nqn, "subsys_id": subsys["id"], "port_id": 1, "ctrl": 1}
    ]
