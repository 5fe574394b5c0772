import stat

import pytest
import typer

from csisim.cli.serve_options import checked, default_endpoint, in_range


def test_a_refused_value_names_its_flag():
    with pytest.raises(typer.BadParameter, match="nope") as caught:
        checked("--flag", int, "nope")
    assert caught.value.param_hint == "--flag"
    assert checked("--flag", int, "7") == 7


@pytest.mark.parametrize("value", [0, 3, 2.5])
def test_numbers_inside_the_range_pass(value):
    assert in_range(0, 3)(value) == value


@pytest.mark.parametrize("value", [-1, 3.1, float("nan"), float("inf")])
def test_other_numbers_are_refused_with_the_range(value):
    with pytest.raises(typer.BadParameter, match=f"{value} is not a number from 0 to 3"):
        in_range(0, 3)(value)


def test_without_a_runtime_directory_the_socket_is_in_a_private_temporary_one(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    endpoint = default_endpoint()

    (directory,) = tmp_path.iterdir()
    assert endpoint == f"unix://{directory}/csi.sock"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_place_that_is_somebody_elses_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "csisim").symlink_to(tmp_path)

    with pytest.raises(typer.BadParameter, match="not yours alone"):
        default_endpoint()


def test_a_place_that_does_not_exist_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))

    with pytest.raises(typer.BadParameter, match="No such file"):
        default_endpoint()
