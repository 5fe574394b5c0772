"""iscsi.portal.*, iscsi.initiator.* and iscsi.auth.*: behaviour and refusals."""

import pytest

EVERYWHERE = ".".join("0000")
SECRET = "s3cret-canary-1"
PEER = "peer-canary-22"


def test_a_new_nas_listens_everywhere_and_lets_every_initiator_in(box):
    assert box("iscsi.portal.query") == [
        {"id": 1, "tag": 1, "comment": "", "listen": [{"ip": EVERYWHERE, "port": 3260}]}
    ]
    assert box("iscsi.initiator.query") == [{"id": 1, "initiators": [], "comment": ""}]
    assert box("iscsi.auth.query") == []


def test_portals_have_their_own_addresses_and_consecutive_tags(box):
    made = [box("iscsi.portal.create", {"listen": [{"ip": ip}]}) for ip in ("10.0.0.1", "fd00::1")]
    assert [portal["tag"] for portal in made] == [2, 3]
    assert box.refused("iscsi.portal.create", {"listen": []}) == [
        ("iscsiportal_create.listen", "At least one listen entry is required.", 22)
    ]
    assert box.refused("iscsi.portal.create", {"listen": [{"ip": "10.0.0.1"}]}) == [
        ("iscsiportal_create.listen", "'10.0.0.1' IP is already in use.", 22)
    ]
    assert box.refused("iscsi.portal.create", {"listen": [{"ip": "x"}]})[0][0] == "iscsiportal_create.listen"
    box("iscsi.portal.delete", made[0]["id"])
    assert [portal["tag"] for portal in box("iscsi.portal.query")] == [1, 2]


def test_what_was_read_from_a_portal_can_be_sent_back(box):
    portal = box("iscsi.portal.get_instance", 1)
    assert box("iscsi.portal.update", 1, {"listen": portal["listen"], "comment": "x"}) == {**portal, "comment": "x"}


def test_portals_show_the_service_port(box):
    box("iscsi.global.update", {"listen_port": 3261})
    assert box("iscsi.portal.get_instance", 1)["listen"] == [{"ip": EVERYWHERE, "port": 3261}]


def test_deleting_a_portal_or_initiator_group_changes_the_targets_that_name_it(box):
    portal = box("iscsi.portal.create", {"listen": [{"ip": "10.0.0.1"}]})["id"]
    group = box("iscsi.initiator.create", {"initiators": ["iqn.2001-01.x:a"]})["id"]
    groups = [{"portal": 1, "initiator": group}, {"portal": portal, "initiator": group}]
    box("iscsi.target.create", {"name": "t", "groups": groups})
    box("iscsi.portal.delete", portal)
    box("iscsi.initiator.delete", group)
    assert box("iscsi.target.get_instance", 1)["groups"] == [
        {"portal": 1, "initiator": None, "authmethod": "NONE", "auth": None}
    ]


def test_initiator_groups_can_be_changed(box):
    entry = box("iscsi.initiator.create", {"initiators": ["iqn.2001-01.x:a"], "comment": "c"})
    assert entry == {"id": 2, "initiators": ["iqn.2001-01.x:a"], "comment": "c"}
    assert box("iscsi.initiator.update", 2, {"initiators": []})["initiators"] == []
    assert box.refused("iscsi.initiator.create", {"initiators": ["a b"]})[0][0] == "iscsi_initiator_create.initiators.0"


def test_credentials_are_returned_to_their_owner(box):
    entry = box("iscsi.auth.create", {"tag": 5, "user": "u", "secret": SECRET, "peeruser": "p", "peersecret": PEER})
    assert entry == {
        "id": 1, "tag": 5, "user": "u", "secret": SECRET, "peeruser": "p", "peersecret": PEER,
        "discovery_auth": "NONE",
    }  # fmt: skip
    assert box("iscsi.auth.query", [["tag", "=", 5]]) == [entry]


def test_subscribers_and_errors_never_see_a_secret(box):
    events = box.listen()
    box("iscsi.auth.create", {"tag": 5, "user": "u", "secret": SECRET, "peeruser": "p", "peersecret": PEER})
    box("iscsi.auth.update", 1, {"user": "v"})
    assert len(events) == 2
    refusals = box.refused("iscsi.auth.create", {"tag": 1, "user": "u", "secret": SECRET + "#####", "peersecret": PEER})
    assert SECRET not in str(events) + str(refusals)
    assert PEER not in str(events) + str(refusals)


@pytest.mark.parametrize(
    ("data", "field", "text"),
    [
        ({"secret": "short"}, "secret", "Secret must be between 12 and 16 characters."),
        ({"secret": " 12345678901 "}, "secret", "Secret contains leading or trailing space."),
        ({"secret": "12345678901#"}, "secret", "Secret contains invalid characters: #"),
        ({"peersecret": PEER}, "peersecret", "The peer user is required if you set a peer secret."),
        ({"peeruser": "p"}, "peersecret", "The peer secret is required if you set a peer user."),
        (
            {"peeruser": "p", "peersecret": SECRET},
            "peersecret",
            "The peer secret cannot be the same as user secret.",
        ),
        ({"peeruser": "p", "peersecret": "short"}, "peersecret", "Peer Secret must be between 12 and 16 characters."),
        (
            {"discovery_auth": "CHAP_MUTUAL"},
            "discovery_auth",
            "Cannot specify CHAP_MUTUAL if peer_user has not been defined.",
        ),
    ],
)
def test_secrets_must_fit(box, data, field, text):
    refused = box.refused("iscsi.auth.create", {"tag": 1, "user": "u", "secret": SECRET, **data})
    assert refused == [(f"iscsi_auth_create.{field}", text, 22)]


def test_only_one_credential_is_for_mutual_discovery(box):
    data = {
        "tag": 1,
        "user": "u",
        "secret": SECRET,
        "peeruser": "p",
        "peersecret": PEER,
        "discovery_auth": "CHAP_MUTUAL",
    }
    box("iscsi.auth.create", data)
    assert box.refused("iscsi.auth.create", data)[0][0] == "iscsi_auth_create.discovery_auth"
    assert box("iscsi.auth.update", 1, {"user": "v"})["user"] == "v"


def test_the_last_credential_of_a_used_group_stays(box):
    box("iscsi.auth.create", {"tag": 5, "user": "u", "secret": SECRET})
    box("iscsi.target.create", {"name": "t", "groups": [{"portal": 1, "authmethod": "CHAP", "auth": 5}]})
    text = "Authorized access of 1 is being used by following target(s): 1"
    assert box.failed("iscsi.auth.delete", 1) == (14, f"[EFAULT] {text}")
    assert box.refused("iscsi.auth.update", 1, {"tag": 6}) == [("iscsi_auth_update.tag", text, 22)]
    box("iscsi.auth.create", {"tag": 5, "user": "w", "secret": SECRET})
    assert box("iscsi.auth.delete", 1) is True
