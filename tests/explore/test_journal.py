"""The file of a campaign: written line by line, read back, cut off, put together, and refused where it does not fit."""

import json
from pathlib import Path

import pytest

from csisim.explore.code import OtherCode, version
from csisim.explore.journal import Writer, merged, read
from csisim.explore.mix import Mix
from csisim.explore.records import Record
from tests.explore.test_records import CHUNK, FAILURE, SHRUNK

MIX = Mix({"clients": 2})


def written(path: Path, *records: Record, mix: Mix = MIX, seeds: range = range(10)) -> Path:
    with Writer.begin(path.open("xb"), mix, seeds) as writer:
        writer.add(*records)
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    journal = read(written(tmp_path / "a", FAILURE, CHUNK, SHRUNK))
    assert journal.records == (FAILURE, CHUNK, SHRUNK)
    assert (journal.mix.to_json(), journal.seeds, journal.version) == ({"clients": 2}, range(10), version())


def test_without_a_file_nothing_is_written() -> None:
    with Writer.begin(None, MIX, range(3)) as writer:
        writer.add(CHUNK)


def test_a_line_that_was_cut_off_is_passed_over_and_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "a", FAILURE, CHUNK)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    journal = read(path)
    assert journal.records == (FAILURE,)
    with Writer.go_on(path, journal):
        pass
    assert content.startswith(path.read_bytes())
    assert path.read_bytes().endswith(b"}\n")
    with Writer.go_on(path, journal) as writer:
        writer.add(CHUNK)
    assert path.read_bytes() == content


def test_it_is_not_gone_on_with_by_other_code(tmp_path: Path) -> None:
    path = written(tmp_path / "a")
    path.write_bytes(path.read_bytes().replace(version().encode(), b"0.0.9+aaaaaaaaaaaa"))
    with pytest.raises(OtherCode, match=r"was begun by csisim 0\.0\.9\+aaaaaaaaaaaa, this is"):
        Writer.go_on(path, read(path))


def test_files_one_after_the_other_are_one_file(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a", CHUNK), written(tmp_path / "b", FAILURE, seeds=range(10, 30))
    both = tmp_path / "c"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    journal = read(both)
    assert (journal.records, journal.seeds) == ((CHUNK, FAILURE), range(30))
    again = merged([("a", read(one)), ("b", read(other))])
    assert (again.records, again.seeds) == (journal.records, journal.seeds)


def test_files_of_other_campaigns_are_not_put_together(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a", CHUNK), written(tmp_path / "b", FAILURE, mix=Mix({"clients": 3}))
    with pytest.raises(ValueError, match="b: it has the mix"):
        merged([("a", read(one)), ("b", read(other))])
    old = tmp_path / "old"
    old.write_bytes(one.read_bytes().replace(version().encode(), b"0.0.9"))
    with pytest.raises(ValueError, match=r"old: it was run by csisim 0\.0\.9, not"):
        merged([("a", read(one)), ("old", read(old))])
    both = tmp_path / "both"
    both.write_bytes(one.read_bytes() + other.read_bytes())
    with pytest.raises(ValueError, match="line 3: another campaign begins here"):
        read(both)
    with pytest.raises(ValueError, match="no file was given"):
        merged([])


HEADER = json.dumps({"form": "csisim explore", "version": "1", "mix": {}, "seeds": [0, 5]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no line says what was run"),
        ("{}\n", "line 1: the file does not begin with the form"),
        (json.dumps(CHUNK.to_json()) + "\n", "line 1: the file does not begin with the form"),
        ('{"form": "csisim replay"}\n', "line 1: its form is 'csisim replay'"),
        (HEADER.replace("[0, 5]", "5") + "\n", "line 1: seeds"),
        (HEADER.replace('"mix": {}', '"mix": {"clients": 0}') + "\n", "line 1: clients"),
        (HEADER + "\n[]\n", r"line 2: '\[\]' is neither"),
        (HEADER + "\n{\n", "line 2: "),
        (HEADER + "\n" + "[" * 100_000 + "\n", "line 2: "),
    ],
)
def test_what_is_no_such_file_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read(path)
