"""sharing.smb.*: behaviour and refusals."""

import pytest

from fake_truenas.errors import MatchNotFound
from fake_truenas.methods.sharing_smb import SMB_SHARES
from fake_truenas.smb_params import PURPOSES
from tests.fake_truenas.methods.conftest import Box

EVERYONE = {
    "ae_who_sid": "S-1-1-0", "ae_perm": "FULL", "ae_type": "ALLOWED", "ae_who_id": None, "ae_who_str": "everyone@",
}  # fmt: skip


def share(box, name="docs", dataset="tank/fs", **more):
    return box("sharing.smb.create", {"name": name, "path": box.filesystem(dataset), **more})


def test_a_share_has_the_real_entry(box):
    entry = share(box, comment="c")
    assert entry == {
        "id": 1, "purpose": "DEFAULT_SHARE", "name": "docs", "path": "/mnt/tank/fs", "enabled": True, "comment": "c",
        "readonly": False, "browsable": True, "access_based_share_enumeration": False, "locked": False,
        "audit": {"enable": False, "watch_list": [], "ignore_list": []}, "options": {"aapl_name_mangling": False},
    }  # fmt: skip
    assert box("sharing.smb.get_instance", 1) == entry
    assert box("sharing.smb.query", [["name", "=", "docs"]]) == [entry]
    assert box("sharing.smb.query", [["name", "C=", "DOCS"]]) == [entry]


def test_unknown_ids_are_not_found(box):
    for call in (("get_instance", 9), ("update", 9, {}), ("delete", 9)):
        assert box.refused(f"sharing.smb.{call[0]}", *call[1:]) == [(None, "SharingSMB 9 does not exist", 2)]


def test_ids_are_never_given_twice(box):
    share(box)
    assert box("sharing.smb.delete", 1) is True
    assert box("sharing.smb.create", {"name": "docs", "path": "/mnt/tank/fs"})["id"] == 2


def test_names_are_unique_whatever_their_case(box):
    share(box, "Docs")
    share(box, "other", "tank/b")
    text = "Share names are case-insensitive and must be unique"
    assert box.refused("sharing.smb.create", {"name": "dOCS", "path": "/mnt/tank/fs"}) == [
        ("sharingsmb_create.name", text, 22)
    ]
    assert box.refused("sharing.smb.update", 2, {"name": "DOCS"}) == [("sharingsmb_update.name", text, 22)]
    assert box("sharing.smb.update", 1, {"name": "DOCS"})["name"] == "DOCS"


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        ({"path": "/mnt/tank"}, ("data.name", "Field required", 22)),
        ({"name": "a"}, ("data.path", "Field required", 22)),
        ({"name": "a", "path": "/mnt/tank", "ro": True}, ("data.ro", "Extra inputs are not permitted", 22)),
        ({"name": "a", "path": "/mnt/tank", "enabled": 1}, ("data.enabled", "Input should be a valid boolean", 22)),
        ({"name": "Homes", "path": "/mnt/tank"}, ("data.name", "Value error, Homes: share name is reserved.", 22)),
        (
            {"name": "a/b:c", "path": "/mnt/tank"},
            ("data.name", "Value error, a/b:c: share name contains the following invalid characters: /, :", 22),
        ),
        (
            {"name": "a\x07", "path": "/mnt/tank"},
            ("data.name", "Value error, a\x07: share name contains unicode control characters", 22),
        ),
        ({"name": "", "path": "/mnt/tank"}, ("data.name", "Value error, Share name must contain at least one character", 22)),
        (
            {"name": "a" * 81, "path": "/mnt/tank"},
            ("data.name", f"Value error, {'a' * 81}: share name must not exceed 80 characters in length", 22),
        ),
        ({"name": "a", "path": "/etc"}, ("sharingsmb_create.path", "The path must reside within a pool mount point", 22)),
        ({"name": "a", "path": "/mnt"}, ("sharingsmb_create.path", "The path must reside within a pool mount point", 22)),
        (
            {"name": "a", "path": "EXTERNAL"},
            ("sharingsmb_create.path", "External paths may only be set for shares with an EXTERNAL_SHARE purpose", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "NO_PRESET"},
            (
                "data.purpose",
                f"Input should be {', '.join(repr(name) for name in list(PURPOSES)[:-1])} or 'VEEAM_REPOSITORY_SHARE'",
                22,
            ),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "options": {}},
            ("data", "Value error, You must set `purpose` if you set `options`.", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "DEFAULT_SHARE", "options": {"guestok": True}},
            ("data.options.DEFAULT_SHARE.guestok", "Extra inputs are not permitted", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "TIME_LOCKED_SHARE", "options": {"grace_period": 59}},
            ("data.options.TIME_LOCKED_SHARE.grace_period", "Input should be greater than or equal to 60", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "DEFAULT_SHARE", "options": []},
            ("data.options", "Input should be a valid dictionary", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "LEGACY_SHARE", "options": {"vuid": "x"}},
            ("sharingsmb_create.options.vuid", "Invalid UUID", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "LEGACY_SHARE", "options": {"path_suffix": "%X"}},
            ("data.options.LEGACY_SHARE.path_suffix", "Value error, %X: not a supported naming schema component", 22),
        ),
        (
            {"name": "a", "path": "EXTERNAL", "purpose": "EXTERNAL_SHARE"},
            ("data", "Value error, External shares require explicit options configuration", 22),
        ),
        (
            {"name": "a", "path": "EXTERNAL", "purpose": "EXTERNAL_SHARE", "options": {"remote_path": ["host"]}},
            (
                "data.options.EXTERNAL_SHARE.remote_path",
                "Value error, host: DFS proxy must be of format SERVER\\SHARE",
                22,
            ),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "purpose": "VEEAM_REPOSITORY_SHARE"},
            ("sharingsmb_create.purpose", "Veeam repository shares require a TrueNAS enterprise license.", 22),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "audit": {"enable": True}},
            (
                "sharingsmb_create.audit.enable",
                "Watch list or ignore list is required to enable auditing for an SMB share.",
                22,
            ),
        ),
        (
            {"name": "a", "path": "/mnt/tank", "audit": {"enable": True, "watch_list": ["builtin_users", "root"]}},
            ("sharingsmb_create.audit.watch_list.1", "root: not an SMB group.", 22),
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(box, data, refusal):
    assert box.refused("sharing.smb.create", data) == [refusal]
    assert box("sharing.smb.query") == []


def test_apples_extensions_are_off(box):
    for data in ({"purpose": "TIMEMACHINE_SHARE"}, {"purpose": "LEGACY_SHARE", "options": {"timemachine": True}}):
        [(attribute, text, _)] = box.refused("sharing.smb.create", {"name": "a", "path": "/mnt/tank", **data})
        assert (attribute, text[:9]) == ("sharingsmb_create.purpose", "Apple SMB")


@pytest.mark.parametrize("path", ["/mnt/tank/none", "/mnt/other", "/mnt/tank/v"])
def test_a_missing_path_is_reported_as_the_system_reports_it(box, path):
    box.zvol("tank/v")
    assert box.failed("sharing.smb.create", {"name": "a", "path": path}) == (2, f"[ENOENT] Path {path} not found")


def test_a_directory_can_be_shared(box):
    path = box.filesystem("tank/fs")
    box("filesystem.mkdir", {"path": path + "/d"})
    assert box("sharing.smb.create", {"name": "d", "path": path + "//d/"})["path"] == path + "/d"
    box("pool.dataset.delete", "tank/fs")
    assert box("sharing.smb.query") == []


def test_options_are_those_of_the_purpose(box):
    legacy = share(box, purpose="LEGACY_SHARE", options={"guestok": True})
    assert legacy["options"]["guestok"] is True
    assert len(legacy["options"]["vuid"]) == 36
    kept = box("sharing.smb.update", 1, {"purpose": "LEGACY_SHARE", "options": {"recyclebin": True}})
    assert kept["options"]["vuid"] == legacy["options"]["vuid"]
    assert (kept["options"]["recyclebin"], kept["options"]["guestok"]) == (True, False)
    locked = box("sharing.smb.update", 1, {"purpose": "TIME_LOCKED_SHARE"})
    assert locked["options"] == {"grace_period": 900, "aapl_name_mangling": False}
    assert box("sharing.smb.update", 1, {"comment": "c"})["options"] == locked["options"]


def test_an_external_share_has_no_path_here(box):
    options = {"remote_path": ["server\\share"]}
    data = {"name": "x", "path": "EXTERNAL", "purpose": "EXTERNAL_SHARE", "options": options}
    assert box("sharing.smb.create", data)["options"] == options
    data |= {"name": "y", "path": "/mnt/tank"}
    assert box.refused("sharing.smb.create", data) == [
        ("sharingsmb_create.path", '/mnt/tank: Path must be set to "EXTERNAL"', 22)
    ]


async def test_a_share_without_access_lists_refuses_a_path_that_has_one(box):
    path = box.filesystem("tank/fs")
    box("pool.dataset.update", "tank/fs", {"acltype": "NFSV4", "aclmode": "RESTRICTED"})
    ace = {"tag": "everyone@", "type": "ALLOW", "perms": {"BASIC": "FULL_CONTROL"}, "flags": {"BASIC": "INHERIT"}}
    await box.nas.call("filesystem.setacl", {"path": path, "dacl": [ace]})
    data = {"name": "a", "path": path, "purpose": "LEGACY_SHARE", "options": {"acl": False}}
    [(attribute, text, _)] = box.refused("sharing.smb.create", data)
    assert (attribute, text[:12]) == ("sharingsmb_create.acl", "ACL detected")


def test_shares_vanish_with_the_dataset_they_are_on_or_under(box):
    for name in ("a", "a/b", "ab"):
        share(box, name.replace("/", "_"), f"tank/{name}")
    events = box.listen()
    box("pool.dataset.delete", "tank/a", {"recursive": True})
    assert [one["path"] for one in box("sharing.smb.query")] == ["/mnt/tank/ab"]
    gone = [(msg, key) for collection, msg, key, _ in events if collection == "sharing.smb.query"]
    assert sorted(gone) == [("removed", 1), ("removed", 2)]


def test_a_share_does_not_follow_a_renamed_dataset(box):
    share(box)
    box("pool.dataset.rename", "tank/fs", {"new_name": "tank/z", "force": True})
    assert box("sharing.smb.get_instance", 1)["path"] == "/mnt/tank/fs"


def test_changes_are_announced(box):
    path = box.filesystem("tank/fs")
    events = box.listen()
    entry = box("sharing.smb.create", {"name": "a", "path": path})
    changed = box("sharing.smb.update", 1, {"readonly": True})
    box("sharing.smb.delete", 1)
    box.refused("sharing.smb.create", {"name": "a", "path": "/etc"})
    assert events == [
        ("sharing.smb.query", "added", 1, entry),
        ("sharing.smb.query", "changed", 1, changed),
        ("sharing.smb.query", "removed", 1, None),
    ]


def test_presets_are_the_purposes(box):
    assert box("sharing.smb.presets")["DEFAULT_SHARE"] == {"verbose_name": "DEFAULT_SHARE"}
    assert len(box("sharing.smb.presets")) == 8


def test_everyone_may_use_a_new_share(box):
    share(box)
    assert box("sharing.smb.getacl", {"share_name": "DOCS"}) == {"share_name": "DOCS", "share_acl": [EVERYONE]}


def test_an_access_list_is_kept_until_it_is_emptied_or_the_share_goes(box):
    share(box)
    acl = [
        {"ae_who_id": {"id_type": "GROUP", "id": 545}, "ae_perm": "CHANGE", "ae_type": "ALLOWED"},
        {"ae_who_sid": "S-1-5-21-1-2-3-1000", "ae_perm": "READ", "ae_type": "DENIED"},
    ]
    stored = box("sharing.smb.setacl", {"share_name": "docs", "share_acl": acl})
    assert stored["share_acl"] == [
        {
            "ae_who_sid": "S-1-5-32-545", "ae_perm": "CHANGE", "ae_type": "ALLOWED",
            "ae_who_id": {"id_type": "GROUP", "id": 545}, "ae_who_str": "builtin_users",
        },
        {
            "ae_who_sid": "S-1-5-21-1-2-3-1000", "ae_perm": "READ", "ae_type": "DENIED",
            "ae_who_id": None, "ae_who_str": None,
        },
    ]  # fmt: skip
    assert box("sharing.smb.getacl", {"share_name": "docs"}) == stored
    assert box("sharing.smb.setacl", {"share_name": "docs", "share_acl": []})["share_acl"] == [EVERYONE]
    box("sharing.smb.setacl", {"share_name": "docs", "share_acl": acl})
    box("sharing.smb.delete", 1)
    assert box.nas.db.value("select count(*) from smb_share_acl") == 0


@pytest.mark.parametrize(
    ("ace", "refusal"),
    [
        ({"ae_who_sid": "S-1-22-1-0"}, ("sharing_smb_setacl.share_acl.0.sid", "SID entries")),
        ({"ae_who_str": "root"}, ("sharing_smb_setacl.share_acl.0.sid", "Either a SI")),
        ({"ae_who_id": {"id_type": "USER", "id": 0}}, ("sharing_smb_setacl.share_acl.0.ae_who_id", "User or gro")),
        ({"ae_who_sid": "everyone"}, ("smb_setacl.share_acl.0.ae_who_sid", "String shou")),
        ({}, ("smb_setacl.share_acl.0", "Value error")),
    ],
)
def test_entries_for_nobody_that_smb_knows_are_refused(box, ace, refusal):
    share(box)
    call = {"share_name": "docs", "share_acl": [{"ae_perm": "FULL", "ae_type": "ALLOWED", **ace}]}
    [(attribute, text, _)] = box.refused("sharing.smb.setacl", call)
    assert (attribute, text[:11]) == refusal
    assert box("sharing.smb.getacl", {"share_name": "docs"})["share_acl"] == [EVERYONE]


def test_an_entry_with_an_unknown_number_matches_nothing(box):
    share(box)
    ace = {"ae_perm": "FULL", "ae_type": "ALLOWED", "ae_who_id": {"id_type": "USER", "id": 4711}}
    with pytest.raises(MatchNotFound):
        box("sharing.smb.setacl", {"share_name": "docs", "share_acl": [ace]})


def test_access_lists_of_unknown_shares_are_refused(box):
    missing = {"share_name": "none"}
    assert box.refused("sharing.smb.getacl", missing) == [("sharing_smb_getacl.share_name", "Share does not exist", 22)]
    assert box.refused("sharing.smb.setacl", missing) == [("smb_share_acl.share_name", "Share does not exist", 22)]


def test_lookups_cost_the_same_however_many_shares_there_are():
    def cost(shares: int) -> list[int]:
        box = Box()
        for name in ("fs", "other"):
            box.filesystem(f"tank/{name}")
        for n in range(shares):
            SMB_SHARES.insert(box.nas.db, {"path": f"/mnt/tank/f{n}", "name": f"s{n}", "name_key": f"s{n}"})
        box.nas.db.commit()
        steps = [
            box.steps("sharing.smb.create", {"name": "new", "path": "/mnt/tank/fs"}),
            box.steps("sharing.smb.query", [["name", "=", "s7"]]),
            box.steps("sharing.smb.query", [["path", "=", "/mnt/tank/f7"]]),
            box.steps("sharing.smb.setacl", {"share_name": "S7"}),
            box.steps("sharing.smb.delete", 3),
            box.steps("pool.dataset.delete", "tank/other"),
        ]
        box.nas.close()
        return steps

    assert all(many <= few + 5 for few, many in zip(cost(20), cost(3000), strict=True))


def test_nobody_can_use_a_share_before_there_is_an_smb_user(box):
    text = "TrueNAS server must be joined to a directory service or have at least one local SMB user before creating an SMB share."
    problem = ("sharing.smb.share_precheck", text, 22)
    assert box.refused("sharing.smb.share_precheck") == [problem]
    share(box)
    taken = ("sharing.smb.share_precheck.name", "Share with this name already exists.", 17)
    assert box.refused("sharing.smb.share_precheck", {"name": "DOCS"}) == [problem, taken]
    assert box.refused("sharing.smb.share_precheck", {"name": "ipc$"}) == [
        ("smb_share_precheck.name", "Value error, ipc$: share name is reserved.", 22)
    ]


def test_with_apples_extensions_on_time_machine_shares_can_be_made(box):
    box("smb.update", {"aapl_extensions": True})
    made = share(box, purpose="TIMEMACHINE_SHARE")
    assert len(made["options"]["vuid"]) == 36
    assert box("sharing.smb.update", 1, {"comment": "c"})["options"] == made["options"]


def test_one_share_is_for_homes(box):
    legacy = {"purpose": "LEGACY_SHARE", "options": {"home": True}}
    share(box, "homes1", **legacy)
    text = "Only one share is allowed to be a home share."
    refused = box.refused("sharing.smb.create", {"name": "homes2", "path": "/mnt/tank/fs", **legacy})
    assert refused == [("sharingsmb_create.options.home", text, 22)]
    assert box("sharing.smb.update", 1, {"comment": "c"})["options"]["home"] is True


def test_lines_for_smb_conf_are_read(box):
    options = {"auxsmbconf": "# fine\nlog level = 10\nnonsense"}
    data = {"name": "a", "path": box.filesystem("tank/fs"), "purpose": "LEGACY_SHARE", "options": options}
    texts = [text for _, text, _ in box.refused("sharing.smb.create", data)]
    assert texts == [
        "log level  is a blacklisted auxiliary parameter. Changes to this parameter are not permitted.",
        'Auxiliary parameters must be in the format of "key = value": nonsense',
    ]


def test_auditing_needs_smb2(box):
    box("smb.update", {"enable_smb1": True})
    data = {"name": "a", "path": box.filesystem("tank/fs"), "audit": {"enable": True, "watch_list": ["builtin_users"]}}
    text = "SMB auditing is not supported if SMB1 protocol is enabled"
    assert box.refused("sharing.smb.create", data) == [("sharingsmb_create.audit.enable", text, 22)]


def test_file_systems_below_a_share_have_its_kind_of_access_lists(box):
    path = box.filesystem("tank/fs")
    box("pool.dataset.create", {"name": "tank/fs/n", "acltype": "NFSV4", "aclmode": "PASSTHROUGH"})
    text = "ACL type mismatch with child mountpoint at /mnt/tank/fs/n: tank/fs - POSIX, tank/fs/n - NFSV4"
    refused = box.refused("sharing.smb.create", {"name": "a", "path": path})
    assert refused == [("sharingsmb_create.path", text, 22)]


def test_a_file_cannot_be_shared(box):
    box("iscsi.extent.create", {"name": "f", "type": "FILE", "path": "/mnt/tank/f", "filesize": 512})
    for kind in ("smb", "nfs"):
        data = {"path": "/mnt/tank/f"} | ({"name": "f"} if kind == "smb" else {})
        refused = box.refused(f"sharing.{kind}.create", data)
        assert refused == [(f"sharing{kind}_create.path", "The path must be a directory", 22)]


FLAT_REFUSALS = [
    ({"afp": True}, "afp", "Apple SMB2/3 protocol extension"),
    ({"timemachine": True}, "timemachine", "Apple SMB2/3 protocol extension"),
    ({"name": "homes"}, "name", "homes is a reserved section name"),
    ({"name": "DOCS"}, "name", "Share names are case-insensitive"),
    ({"auxsmbconf": "x"}, "auxsmbconf", "Auxiliary parameters must be"),
    ({"path": "EXTERNAL:host"}, "path", "host: DFS proxy must be of format SERVER\\SHARE"),
    ({"vuid": "x"}, "options.vuid", "Invalid UUID"),
]


@pytest.mark.parametrize(("data", "attribute", "text"), FLAT_REFUSALS)
def test_flat_shares_are_checked_too(data, attribute, text):
    box = Box("25.04")
    share(box)
    given = {"name": "a", "path": "/mnt/tank/fs", "purpose": "NO_PRESET", **data}
    [(where, what, _)] = box.refused("sharing.smb.create", given)
    assert (where, what[: len(text)]) == (f"sharingsmb_create.{attribute}", text)
    box.nas.close()


def test_a_purpose_sets_what_it_stands_for():
    box = Box("25.04")
    entry = share(box, purpose="DEFAULT_SHARE", ro=True, streams=False)
    assert (entry["ro"], entry["streams"]) == (False, True)
    assert set(box("sharing.smb.presets")) > {"NO_PRESET", "ENHANCED_TIMEMACHINE"}
    external = box("sharing.smb.create", {"name": "e", "path": "EXTERNAL:host\\share"})
    assert (external["path_local"], external["path"]) == ("", "EXTERNAL:host\\share")
    box.nas.close()
