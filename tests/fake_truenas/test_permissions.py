"""Changes of permissions happen wholly or not at all; what they do is tested with filesystem.*."""

import pytest

from fake_truenas import Nas, directories, permissions
from fake_truenas.context import Ctx
from fake_truenas.errors import ValidationErrors

PATH = "/mnt/tank/fs"


def owners(ctx: Ctx) -> tuple[int, int]:
    found = directories.find(ctx, PATH)
    assert found is not None
    return found.uid, found.gid


@pytest.fixture
def ctx(nas: Nas) -> Ctx:
    nas.call_direct("pool.dataset.create", {"name": "tank/fs"})
    return Ctx(nas)


def call(**more: object) -> dict[str, object]:
    options = {"recursive": False, "traverse": False, "stripacl": False}
    return {"path": PATH, "uid": None, "user": None, "gid": None, "group": None, "options": options, **more}


def test_a_name_goes_before_a_number_and_minus_one_changes_nothing(ctx: Ctx) -> None:
    permissions.set_owner(ctx, call(uid=7, gid=-1, user="apps"))
    assert owners(ctx) == (568, 0)


def test_all_that_is_wrong_is_said_together_and_nothing_changes(ctx: Ctx) -> None:
    with pytest.raises(ValidationErrors) as caught:
        permissions.set_mode(ctx, call(mode="000", user="eve", gid=5))
    assert [item.attribute for item in caught.value.items] == ["filesystem.setperm.user", "filesystem.setperm.mode"]
    assert owners(ctx) == (0, 0)
