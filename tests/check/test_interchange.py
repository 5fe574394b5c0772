import json
import re

from csisim.check.interchange import to_edn, to_porcupine
from csisim.check.linearizability import Operation
from csisim.check.volume_operations import operations_of
from tests.support.calls import Script, create, created, delete

OPERATIONS = [
    Operation("b", "read", None, frozenset({2, 1}), 2.0, 3.0),
    Operation("a", "write", ("x", 1), None, 0.5, 2.0),
    Operation("b", "cas", {"x": 'say "1"'}, False, 4.0, 5.0, "fail"),
    Operation("a", "write", 2, None, 2.5, None, "info"),
    Operation("a", "write", 3, None, 6.0, 7.0),
]


def test_porcupine_gets_clients_that_do_one_thing_at_a_time_and_an_end_for_everything() -> None:
    rows = to_porcupine(OPERATIONS)
    assert [row["ClientId"] for row in rows] == [0, 1, 0, 1, 2]
    assert [(row["Call"], row["Return"]) for row in rows] == [
        (500_000_000, 2_000_000_000),
        (2_000_000_000, 3_000_000_000),
        (2_500_000_000, 7_000_000_001),
        (4_000_000_000, 5_000_000_000),
        (6_000_000_000, 7_000_000_000),
    ]
    assert rows[1]["Output"] == {"type": "ok", "value": [1, 2]}
    assert rows[2]["Output"] == {"pending": True}
    assert json.loads(json.dumps(rows)) == rows


def test_one_process_with_two_calls_under_way_is_two_clients() -> None:
    both = [Operation("provisioner", "f", number, None, number, number + 5.0) for number in (0, 1, 10)]
    assert [row["ClientId"] for row in to_porcupine(both)] == [0, 1, 0]


def test_what_event_numbers_tell_apart_stays_apart() -> None:
    first = Operation("a", "f", None, None, 1.0, 1.0, "ok", 1, 2)
    second = Operation("b", "f", None, None, 1.0, 1.0, "ok", 3, 4)
    one, two = to_porcupine([second, first])
    assert one["Call"] < one["Return"] < two["Call"] < two["Return"]


def test_edn_has_a_line_for_each_beginning_and_each_end() -> None:
    lines = to_edn(OPERATIONS).splitlines()
    assert lines[0] == ('{:index 0, :time 500000000, :process 0, :type :invoke, :f :write, :value ["x" 1]}')
    assert len(lines) == 10
    types = [re.search(r":type :(\w+)", line).group(1) for line in lines]
    assert types == ["invoke", "invoke", "ok", "invoke", "ok", "invoke", "fail", "invoke", "ok", "info"]
    assert ':value {"asked" nil, "answered" [1 2]}' in lines[4]
    assert ':value {"asked" {"x" "say \\"1\\""}, "answered" false}' in lines[6]
    assert all(line.count("{") == line.count("}") for line in lines)


def test_what_touches_overlaps_in_edn_too() -> None:
    lines = to_edn(OPERATIONS[:2]).splitlines()
    assert [re.search(r":type :(\w+)", line).group(1) for line in lines] == ["invoke", "invoke", "ok", "ok"]


def test_operations_on_volumes_show_what_was_asked_and_answered() -> None:
    script = Script()
    script.call(create(), created())
    script.call(delete(), "UNAVAILABLE")
    made, lost = to_porcupine(operations_of(script.events))
    assert made["Input"]["value"]["volume"] == "pvc-1"
    assert made["Output"]["value"]["capacity_bytes"] == 1 << 30
    assert lost["Output"] == {"pending": True}
    assert '"id" "pvc-1"' in to_edn(operations_of(script.events))


def test_nothing_gives_nothing() -> None:
    assert to_porcupine([]) == []
    assert to_edn([]) == ""
