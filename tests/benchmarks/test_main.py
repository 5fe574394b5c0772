"""The command line of the benchmarks."""

import pytest

from benchmarks.__main__ import main


def test_an_unknown_part_is_a_usage_error_that_names_the_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--only", "pairs,nonsense"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert (
        "nonsense is not one of pairs, create, list, nas-calls, nas-size, proxy, faults, checker, simulation"
        in capsys.readouterr().err
    )
