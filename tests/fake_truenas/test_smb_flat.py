"""SMB shares of releases before 25.10; as clients see them in contract/test_section_07.py."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fake_truenas import Nas, NasConfig
from fake_truenas.smb_flat import PRESETS, is_flat, modern, name_problems
from tests.fake_truenas.rpc import KEY, Clock


@contextmanager
def open_nas(version: str, data_dir: Path) -> Iterator[Nas]:
    nas = Nas(NasConfig(api_key=KEY, version=version, data_dir=data_dir), rng=random.Random(7), clock=Clock())
    try:
        yield nas
    finally:
        nas.close()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("docs", []),
        ("Homes", ["Homes is a reserved section name, please select another one"]),
        ("", ["Share name cannot be an empty string."]),
        ("a/b:c", ["Share name contains the following invalid characters: /, :"]),
        ("a\x07", ["Share name contains unicode control characters."]),
    ],
)
def test_names_are_checked(name: str, texts: list[str]) -> None:
    assert list(name_problems(name)) == texts


@pytest.mark.parametrize(
    ("purpose", "shown"),
    [("DEFAULT_SHARE", "DEFAULT_SHARE"), ("MULTI_PROTOCOL_NFS", "MULTIPROTOCOL_SHARE"), ("NO_PRESET", "LEGACY_SHARE")],
)
def test_an_update_to_25_10_keeps_the_shares(tmp_path: Path, purpose: str, shown: str) -> None:
    with open_nas("25.04", tmp_path) as nas:
        nas.call_direct("pool.dataset.create", {"name": "tank/fs"})
        data = {"name": "docs", "path": "/mnt/tank/fs", "purpose": purpose, "ro": True, "abe": True, "guestok": True}
        before = nas.call_direct("sharing.smb.create", data)
        assert is_flat(before)
    with open_nas("25.10", tmp_path) as nas:
        [after] = nas.call_direct("sharing.smb.query")
        assert (after["purpose"], after["readonly"], after["access_based_share_enumeration"]) == (
            shown,
            purpose != "DEFAULT_SHARE",
            purpose != "DEFAULT_SHARE",
        )
        if shown == "LEGACY_SHARE":
            assert (after["options"]["guestok"], after["options"]["vuid"]) == (True, before["vuid"])
        else:
            assert after["options"] == {"aapl_name_mangling": False}
        changed = nas.call_direct("sharing.smb.update", 1, {"comment": "c"})
        assert changed == {**after, "comment": "c"}
        assert not is_flat(changed)


def test_every_preset_becomes_a_purpose_that_there_is() -> None:
    flat = {
        "path": "/mnt/tank", "name": "n", "enabled": True, "comment": "", "browsable": True, "audit": {}, "ro": False,
        "abe": False, "path_suffix": "", "vuid": "", "aapl_name_mangling": False, "recyclebin": False,
        "hostsallow": [], "hostsdeny": [], "guestok": False, "streams": True, "durablehandle": True,
        "shadowcopy": True, "fsrvp": False, "home": False, "acl": True, "afp": False, "timemachine": False,
        "timemachine_quota": 0, "auxsmbconf": "",
    }  # fmt: skip
    purposes = {modern({**flat, "purpose": preset})["purpose"] for preset in PRESETS}
    assert purposes == {"DEFAULT_SHARE", "MULTIPROTOCOL_SHARE", "LEGACY_SHARE"}
