"""Files of extents and namespaces: where they can be made, and what becomes of them."""

from dataclasses import replace

import pytest

from fake_truenas import Nas, acls, directories
from fake_truenas.context import Ctx
from fake_truenas.errors import CallError
from fake_truenas.files import find_file, is_directory, make_file, remove_file


@pytest.fixture
def ctx(nas: Nas) -> Ctx:
    nas.call_direct("pool.dataset.create", {"name": "tank/fs"})
    return Ctx(nas)


def test_a_file_is_made_with_the_directories_above_it_and_takes_no_space(ctx: Ctx) -> None:
    before = ctx.db.value("select referenced from dataset where name = 'tank/fs'")
    make_file(ctx, "/mnt/tank/fs/a/b/f", 5 << 30)
    file = find_file(ctx, "/mnt/tank/fs/a/b/f")
    assert file is not None
    assert (file.path, file.size_bytes, file.mode, file.is_file) == ("/mnt/tank/fs/a/b/f", 5 << 30, 0o644, True)
    assert [is_directory(ctx, f"/mnt/tank/fs/a{end}") for end in ("", "/b", "/b/f", "/x")] == [True, True, False, False]
    assert find_file(ctx, "/mnt/tank/fs/a") is None
    assert ctx.db.value("select referenced from dataset where name = 'tank/fs'") == before


def test_a_file_grows_and_never_shrinks(ctx: Ctx) -> None:
    for size in (10, 30, 20):
        make_file(ctx, "/mnt/tank/fs/f", size)
    file = find_file(ctx, "/mnt/tank/fs/f")
    assert file is not None
    assert file.size_bytes == 30


def test_a_removed_file_is_gone_and_removing_it_again_is_no_error(ctx: Ctx) -> None:
    make_file(ctx, "/mnt/tank/fs/f", 1)
    for _ in range(2):
        remove_file(ctx, "/mnt/tank/fs/f")
        assert find_file(ctx, "/mnt/tank/fs/f") is None
    assert is_directory(ctx, "/mnt/tank/fs")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/mnt/tank/fs/f/g", "Failed to create /mnt/tank/fs/f with error: [Errno 17] File exists: '/mnt/tank/fs/f'"),
        ("/mnt/none/f", "Failed to create /mnt/none with error: [Errno 30] Read-only file system: '/mnt/none'"),
        ("/mnt/tank/ro/d/f", "Failed to create /mnt/tank/ro/d with error: [Errno 30] Read-only file system: '/mnt/tank/ro/d'"),
    ],
)  # fmt: skip
def test_directories_that_cannot_be_made_are_told(ctx: Ctx, path: str, text: str) -> None:
    ctx.nas.call_direct("pool.dataset.create", {"name": "tank/ro", "readonly": "ON"})
    make_file(ctx, "/mnt/tank/fs/f", 1)
    with pytest.raises(CallError) as caught:
        make_file(ctx, path, 1)
    assert caught.value.text == text


def test_nothing_is_made_on_a_read_only_file_system(ctx: Ctx) -> None:
    ctx.nas.call_direct("pool.dataset.create", {"name": "tank/ro", "readonly": "ON"})
    make_file(ctx, "/mnt/tank/ro/f", 1)
    assert find_file(ctx, "/mnt/tank/ro/f") is None


def test_snapshots_keep_files(ctx: Ctx) -> None:
    make_file(ctx, "/mnt/tank/fs/f", 1)
    ctx.nas.call_direct("pool.snapshot.create", {"dataset": "tank/fs", "name": "s"})
    remove_file(ctx, "/mnt/tank/fs/f")
    ctx.nas.call_direct("pool.snapshot.clone", {"snapshot": "tank/fs@s", "dataset_dst": "tank/c"})
    assert find_file(ctx, "/mnt/tank/c/f") is not None
    assert find_file(ctx, "/mnt/tank/fs/f") is None


def test_a_file_gets_what_its_directory_passes_on_to_files(ctx: Ctx) -> None:
    ctx.nas.call_direct("pool.dataset.create", {"name": "tank/acl", "acltype": "NFSV4", "aclmode": "PASSTHROUGH"})
    found = directories.find(ctx, "/mnt/tank/acl")
    assert found is not None
    entries = [
        {"tag": "USER", "id": 568, "type": "ALLOW", "perms": {"BASIC": "READ"}, "flags": {"BASIC": flags}}
        for flags in ("INHERIT", "NOINHERIT")
    ]
    full = [acls.full_nfs4(ace) for ace in entries]
    directories.save(ctx, replace(found, acl=full))
    make_file(ctx, "/mnt/tank/acl/f", 1)
    file = find_file(ctx, "/mnt/tank/acl/f")
    assert file is not None
    assert file.acl is not None
    assert [(ace["tag"], ace["flags"]["INHERITED"], ace["flags"]["FILE_INHERIT"]) for ace in file.acl] == [
        ("USER", True, False)
    ]
