"""The file of a campaign: JSON lines, the first of which says what is run.

    {"form": "csisim explore", "version": "0.1.0+1f0c...", "mix": {...}, "seeds": [0, 1000]}
    {"chunk": [0, 12], "verdicts": {"ok": 11, ...}, "digest": "...", "cpu_ms": 702.1, ...}
    {"failure": 7, "verdict": "violation", "signature": "I3: ...", "plan": {...}, "replay": "csi1-...", ...}
    {"shrunk": "I3: ...", "seed": 7, "deviations": 1, "replay": "csi1-...", ...}

A line is written whole or, when its writer is killed, cut off as the last one, which is passed over. Files one after
the other are one file, so that the output of several shards may be put together with `cat`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

from csisim.explore.code import check, version
from csisim.explore.mix import Mix
from csisim.explore.records import BadRecord, Record, record_of

FORM: Final = "csisim explore"
_MOST_LINE_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Journal:
    """What was read.

    Attributes:
        mix: of the runs.
        seeds: that were to be run; of several files the lowest and the highest.
        version: of the code that ran them, see `csisim.explore.code`.
        records: in the order of the file.
        whole_bytes: where the last whole line ends.
    """

    mix: Mix
    seeds: range
    version: str
    records: tuple[Record, ...]
    whole_bytes: int


def read(path: Path) -> Journal:
    """Read a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none; says which line is wrong, and how.
    """
    with path.open("rb") as file:
        return _read(file, str(path))


def _read(file: BinaryIO, name: str) -> Journal:
    first: _Header | None = None
    records: list[Record] = []
    whole_bytes = 0
    for number, line in enumerate(_lines(file), 1):
        try:
            found = json.loads(line)
            if isinstance(found, dict) and "form" in found:
                header = _header(found)
                first = header if first is None else first.joined(header, "another campaign begins here")
            elif first is None:
                raise BadRecord(f"the file does not begin with the form {FORM!r}")
            else:
                records.append(record_of(found))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
        whole_bytes += len(line)
    if first is None:
        raise ValueError(f"{name}: no line says what was run")
    return Journal(first.mix, first.seeds, first.version, tuple(records), whole_bytes)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines that are whole."""
    while (line := file.readline(_MOST_LINE_BYTES)).endswith(b"\n"):
        yield line
    if len(line) == _MOST_LINE_BYTES:
        raise ValueError(f"a line has more than {_MOST_LINE_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class _Header:
    mix: Mix
    seeds: range
    version: str

    def joined(self, other: "_Header", what: str) -> "_Header":
        """Both campaigns as one.

        Raises:
            ValueError: they are not of one; says why.
        """
        if other.mix.to_json() != self.mix.to_json():
            raise ValueError(f"{what}: it has the mix {str(other.mix.to_json())[:200]}, not {self.mix.to_json()}")
        if other.version != self.version:
            raise ValueError(f"{what}: it was run by csisim {other.version}, not {self.version}")
        seeds = range(min(self.seeds.start, other.seeds.start), max(self.seeds.stop, other.seeds.stop))
        return _Header(self.mix, seeds, self.version)


def _header(found: dict[str, Any]) -> _Header:
    if found["form"] != FORM:
        raise BadRecord(f"its form is {str(found['form'])[:80]!r}, not {FORM!r}")
    seeds = found.get("seeds")
    if not isinstance(seeds, list) or len(seeds) != 2 or any(type(each) is not int or each < 0 for each in seeds):
        raise BadRecord(f"seeds: {str(seeds)[:80]!r} is not a first seed and the one after the last")
    return _Header(Mix.from_json(found.get("mix")), range(*seeds), str(found.get("version", ""))[:60])


def merged(journals: Iterable[tuple[str, Journal]]) -> Journal:
    """Several files as one.

    Args:
        journals: with the names of their files.

    Raises:
        ValueError: they are of different campaigns, or there is none; says which differ.
    """
    header: _Header | None = None
    records: list[Record] = []
    for name, journal in journals:
        own = _Header(journal.mix, journal.seeds, journal.version)
        header = own if header is None else header.joined(own, name)
        records += journal.records
    if header is None:
        raise ValueError("no file was given")
    return Journal(header.mix, header.seeds, header.version, tuple(records), 0)


class Writer:
    """Writes a file, line by line; what was written is there even if the process ends at once.

    Args:
        file: open for writing bytes, at its end.
        closes: close it with the writer; not for standard output.
    """

    def __init__(self, file: BinaryIO | None, *, closes: bool = True) -> None:
        self._file = file
        self._closes = closes

    @classmethod
    def begin(cls, file: BinaryIO | None, mix: Mix, seeds: range, *, closes: bool = True) -> Self:
        """A new file; None: nothing is written anywhere."""
        writer = cls(file, closes=closes)
        span = [seeds.start, seeds.stop]
        writer._line({"form": FORM, "version": version(), "mix": mix.to_json(), "seeds": span})
        return writer

    @classmethod
    def go_on(cls, path: Path, journal: Journal) -> Self:
        """An existing file, without a last line that is not whole.

        Raises:
            OSError: it cannot be written.
            csisim.explore.code.OtherCode: other code has begun it.
        """
        check(journal.version, f"{path} was begun by")
        file: BufferedRandom = path.open("r+b")
        file.truncate(journal.whole_bytes)
        file.seek(journal.whole_bytes)
        return cls(file)

    def add(self, *records: Record) -> None:
        """One line each."""
        for record in records:
            self._line(record.to_json())

    def _line(self, what: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(what, separators=(",", ":")).encode() + b"\n")
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None and self._closes:
            self._file.close()
