import os
import stat
import subprocess
import sys

import pytest

from csisim.cluster.state_dir import StateDir, StateDirError


def test_the_directory_and_all_in_it_belong_to_the_owner_alone(tmp_path):
    with StateDir(tmp_path / "deep" / "state") as state:
        for path in (state.path, state.nas, state.node("node-1")):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE((state.path / "lock").stat().st_mode) == 0o600


def test_a_second_process_is_refused_with_the_number_of_the_first(tmp_path):
    code = (
        "import sys, pathlib; from csisim.cluster.state_dir import *\n"
        "try: StateDir(pathlib.Path(sys.argv[1]))\n"
        "except StateDirError as error: print(error)"
    )
    with StateDir(tmp_path):
        second = subprocess.run(  # noqa: S603 - this interpreter and code from above
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=30
        )

    assert f"in use by process {os.getpid()}" in second.stdout


def test_a_directory_is_free_again_after_close(tmp_path):
    for _ in range(2):
        with StateDir(tmp_path) as state:
            state.node("node-1").joinpath("kept").touch()

    assert (tmp_path / "nodes" / "node-1" / "kept").exists()


def test_without_a_path_everything_is_temporary():
    with StateDir(None) as state:
        assert state.temporary
        assert state.nas is None
        assert stat.S_IMODE(state.path.stat().st_mode) == 0o700
        state.node("node-1").joinpath("gone").touch()
        path = state.path

    assert not path.exists()


def test_what_is_not_used_is_not_made(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with StateDir(None):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_what_cannot_be_a_directory_is_refused(tmp_path, name):
    (tmp_path / "file").touch()

    with pytest.raises(StateDirError, match="file"):
        StateDir(tmp_path / name)


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    state = tmp_path / "state"
    state.mkdir()
    (state / "lock").symlink_to(victim)

    with pytest.raises(StateDirError, match="symbolic links"):
        StateDir(state)
    assert victim.read_text() == "precious"
