from csisim.reports.eventlist import gaps, listed
from csisim.reports.record import Record
from tests.reports.runs_told import Told, crowd, data_loss


def test_every_event_has_a_line_with_its_value() -> None:
    _, events = data_loss()
    record = Record(events)
    kept, cut = listed(record, set())
    assert (list(kept), cut) == ([event.seq for event in events], "")
    create = next(event for event in events if event.f == "CreateVolume")
    assert '"name": "pvc-1"' in kept[create.seq]
    assert f'<li id="e{create.seq}">' in kept[create.seq]
    assert gaps(record, kept).count("<li") == len(events)


def test_what_does_not_fit_is_left_out_by_weight_and_counted() -> None:
    record = Record(crowd(3_000))
    last = record.entries[-1].seq
    kept, cut = listed(record, {last}, budget_bytes=100_000)
    assert sum(len(line.encode()) for line in kept.values()) <= 100_000
    assert f"{len(record.entries) - len(kept):,} events of {len(record.entries):,} left out" in cut
    assert last in kept
    assert all(entry.seq in kept for entry in record.entries if entry.kind == "fault")
    assert not all(entry.seq in kept for entry in record.entries if entry.kind == "nas")
    lines = gaps(record, kept).splitlines()
    assert len([line for line in lines if 'class="cut"' in line]) > 1
    assert len(lines) > len(kept)


def test_values_are_shortened_before_events_are_left_out_and_those_that_matter_are_not() -> None:
    told = Told()
    for _ in range(100):
        told.add("info", "state", "x", {"text": "y" * 1_400})
    kept, cut = listed(Record(told.events), {50}, budget_bytes=60_000)
    assert len(kept) == 100
    assert cut == "values longer than 410 characters are shortened"
    assert kept[50].count("y") == 1_400
    assert 200 < kept[51].count("y") < 500


def test_hostile_values_are_bounded_text() -> None:
    told = Told()
    hostile = "</li><script>" + "\x00" * 10 + "z" * 10_000_000
    told.add("info", "state", hostile, {hostile: hostile}, process=hostile, parent=hostile)
    (line,) = listed(Record(told.events), set())[0].values()
    assert "<script>" not in line
    assert len(line) < 6_000
