"""iscsi.global.*: behaviour and refusals."""


def test_configuration_has_the_defaults(box):
    assert box("iscsi.global.config") == {
        "id": 1, "basename": "iqn.2005-10.org.freenas.ctl", "isns_servers": [], "listen_port": 3260,
        "pool_avail_threshold": None, "alua": False, "iser": False,
    }  # fmt: skip
    assert box("iscsi.global.alua_enabled") is False
    assert box("iscsi.global.iser_enabled") is False


def test_updates_are_kept_and_checked(box):
    events = box.listen()
    changed = box("iscsi.global.update", {"basename": "iqn.2020-01.example", "pool_avail_threshold": 80})
    assert box("iscsi.global.config") == changed
    assert events == [("iscsi.global.config", "changed", 1, changed)]
    assert box.refused("iscsi.global.update", {"listen_port": 80})[0][0] == "iscsi_update.listen_port"
    assert box.refused("iscsi.global.update", {"alua": True})[0][0] == "iscsi_update.alua"
    assert box.refused("iscsi.global.update", {"id": 2}) == [("iscsi_update.id", "Extra inputs are not permitted", 22)]


def test_sessions_are_listed_with_full_names(box):
    box("iscsi.target.create", {"name": "t", "alias": "T", "groups": [{"portal": 1}]})
    iqn = "iqn.2005-10.org.freenas.ctl:t"
    for address in ("10.0.0.1", "10.0.0.2"):
        box(
            "fake.block.connect",
            {"protocol": "iscsi", "name": iqn, "initiator": "iqn.1993-08.org:n1", "address": address},
        )
    sessions = box("iscsi.global.sessions", [["initiator_addr", "=", "10.0.0.2"]])
    assert [(one["initiator"], one["target"], one["target_alias"]) for one in sessions] == [
        ("iqn.1993-08.org:n1", iqn, "T")
    ]
    assert box("iscsi.global.client_count") == 1
