"""iscsi.target.* and iscsi.targetextent.*: behaviour and refusals."""

import pytest

IQN = "iqn.2005-10.org.freenas.ctl"


def linked(box, name: str = "t", zvol: str = "tank/v") -> tuple[int, int, int]:
    """A target, an extent on a new zvol and the row between them."""
    box.zvol(zvol)
    target = box("iscsi.target.create", {"name": name, "groups": [{"portal": 1, "initiator": 1}]})["id"]
    extent = box("iscsi.extent.create", {"name": name, "disk": f"zvol/{zvol}"})["id"]
    return target, extent, box("iscsi.targetextent.create", {"target": target, "extent": extent})["id"]


def test_a_target_has_the_real_entry(box):
    entry = box("iscsi.target.create", {"name": "pvc-1", "groups": [{"portal": 1, "initiator": 1}]})
    assert entry == {
        "id": 1, "name": "pvc-1", "alias": None, "mode": "ISCSI",
        "groups": [{"portal": 1, "initiator": 1, "authmethod": "NONE", "auth": None}],
        "auth_networks": [], "rel_tgt_id": 1, "iscsi_parameters": None,
    }  # fmt: skip
    assert box("iscsi.target.query", [["name", "=", "pvc-1"]]) == [entry]
    assert box("iscsi.target.update", 1, {"alias": "a"})["alias"] == "a"


@pytest.mark.parametrize(
    ("data", "attribute", "text"),
    [
        ({"name": "A"}, "name", "Value error, Name can only contain lowercase alphanumeric charactersplus dot (.), dash (-), and colon (:)"),
        ({"name": "taken"}, "name", "Target with this name already exists"),
        ({"name": "t", "alias": "taken"}, "alias", "Alias already exists"),
        ({"name": "t", "alias": 'a"'}, "alias", "Double quotes are not allowed"),
        ({"name": "t", "alias": "target"}, "alias", "target is a reserved word"),
        ({"name": "t", "mode": "FC"}, "mode", "Fibre Channel not enabled"),
        ({"name": "t", "groups": [{"portal": 9}]}, "groups.0.portal", "9 Portal not found in database"),
        (
            {"name": "t", "groups": [{"portal": 1}, {"portal": 1}]},
            "groups.1.portal",
            "Portal 1 cannot be duplicated on a target",
        ),
        (
            {"name": "t", "groups": [{"portal": 1, "initiator": 9}]},
            "groups.0.initiator",
            "9 Initiator not found in database",
        ),
        (
            {"name": "t", "groups": [{"portal": 1, "authmethod": "CHAP"}]},
            "groups.0.auth",
            "Authentication group is required for CHAP and CHAP Mutual",
        ),
        (
            {"name": "t", "groups": [{"portal": 1, "authmethod": "CHAP_MUTUAL", "auth": 5}]},
            "groups.0.auth",
            "Authentication group 5 does not support CHAP Mutual",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(box, data, attribute, text):
    box("iscsi.auth.create", {"tag": 5, "user": "u", "secret": "123456789012"})
    box("iscsi.target.create", {"name": "taken", "alias": "taken"})
    assert box.refused("iscsi.target.create", data) == [(f"iscsi_target_create.{attribute}", text, 22)]


def test_a_missing_credential_group_is_not_found(box):
    groups = [{"portal": 1, "authmethod": "CHAP_MUTUAL", "auth": 8}]
    assert box.refused("iscsi.target.create", {"name": "t", "groups": groups}) == [
        ("iscsi_target_create.groups.0.auth", "Authentication group not found", 2)
    ]
    groups[0]["authmethod"] = "CHAP"  # nobody looks, as on the real server
    assert box("iscsi.target.create", {"name": "t", "groups": groups})["groups"] == [{**groups[0], "initiator": None}]


def test_relative_ids_fill_the_gaps(box):
    for number in range(1, 4):
        assert box("iscsi.target.create", {"name": f"t{number}"})["rel_tgt_id"] == number
    for gap in (2, 1):
        box("iscsi.target.delete", gap)
    assert [box("iscsi.target.create", {"name": f"u{number}"})["rel_tgt_id"] for number in range(3)] == [1, 2, 4]


def test_the_schema_is_strict(box):
    assert box.refused("iscsi.target.create", {"name": "t" * 121, "rel_tgt_id": 3, "groups": [{}]}) == [
        ("iscsi_target_create.name", "String should have at most 120 characters", 22),
        ("iscsi_target_create.rel_tgt_id", "Extra inputs are not permitted", 22),
        ("iscsi_target_create.groups.0.portal", "Field required", 22),
    ]


def test_names_can_be_checked_before(box):
    box("iscsi.target.create", {"name": "t"})
    assert box("iscsi.target.validate_name", "u") is None
    assert box("iscsi.target.validate_name", "t") == "Target with this name already exists"
    assert box("iscsi.target.validate_name", "t", 1) is None
    text = "Only lowercase alphanumeric characters plus dot (.), dash (-), and colon (:) are allowed."
    assert [box("iscsi.target.validate_name", name) for name in ("T", "")] == [text, text]


def test_luns_are_given_from_zero_without_gaps(box):
    target, _, first = linked(box)
    for number in (1, 2):
        box.zvol(f"tank/v{number}")
        extent = box("iscsi.extent.create", {"name": f"e{number}", "disk": f"zvol/tank/v{number}"})["id"]
        assert box("iscsi.targetextent.create", {"target": target, "extent": extent})["lunid"] == number
    box("iscsi.targetextent.delete", first)
    box.zvol("tank/v3")
    extent = box("iscsi.extent.create", {"name": "e3", "disk": "zvol/tank/v3"})["id"]
    assert box("iscsi.targetextent.create", {"target": target, "extent": extent})["lunid"] == 0


def test_a_lun_and_an_extent_are_used_once(box):
    target, extent, link = linked(box)
    assert box.refused("iscsi.targetextent.create", {"target": target, "extent": extent, "lunid": 0}) == [
        ("iscsi_targetextent_create.lunid", "LUN ID is already being used for this target.", 22),
        ("iscsi_targetextent_create.extent", "Extent is already in use.", 22),
    ]
    assert box("iscsi.targetextent.update", link, {"lunid": 0})["lunid"] == 0
    assert box("iscsi.targetextent.update", link, {"lunid": 7}) == {
        "id": link,
        "target": target,
        "lunid": 7,
        "extent": extent,
    }
    assert box.refused("iscsi.targetextent.update", link, {"lunid": 16383})[0][0] == "iscsi_targetextent_update.lunid"


def test_missing_references_are_refused(box):
    refusals = box.refused("iscsi.targetextent.create", {"target": 8, "extent": 9})
    assert [(attribute, errno) for attribute, _, errno in refusals] == [
        ("iscsi_targetextent_create.target", 2),
        ("iscsi_targetextent_create.extent", 2),
    ]


def test_deleting_a_target_takes_its_links_and_on_request_its_extents(box):
    target, _, _ = linked(box)
    box("iscsi.target.delete", target)
    assert box("iscsi.targetextent.query") == []
    assert box("iscsi.extent.query", [], {"count": True}) == 1
    other, _, _ = linked(box, "u", "tank/u")
    box("iscsi.target.delete", other, True, True)
    assert [extent["name"] for extent in box("iscsi.extent.query")] == ["t"]


def test_a_target_in_use_is_only_deleted_by_force(box):
    target, extent, link = linked(box)
    session = {"protocol": "iscsi", "name": f"{IQN}:t", "initiator": "iqn.1993-08.org:n1"}
    box("fake.block.connect", session)
    assert box.failed("iscsi.target.delete", target) == (14, "[EFAULT] Target t is in use.")
    assert box.failed("iscsi.targetextent.delete", link) == (14, "[EFAULT] Associated target t is in use.")
    assert box.failed("iscsi.extent.delete", extent) == (14, "[EFAULT] Associated target(s) t is in use.")
    assert box("iscsi.target.delete", target, True) is True
    assert box("iscsi.global.sessions") == []


def test_events_tell_of_everything_that_goes(box):
    target, _, link = linked(box)
    events = box.listen()
    box("iscsi.target.delete", target)
    assert [event[:3] for event in events] == [
        ("iscsi.targetextent.query", "removed", link),
        ("iscsi.target.query", "removed", target),
    ]
