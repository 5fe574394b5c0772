import io
import json

from grpc import StatusCode
from rich.console import Console

from csisim.cli.demo_faults import Injection
from csisim.cli.demo_report import Check, Seen, Verdict, percentile, print_verdict, rpc_rows, seen_of
from csisim.co.callers import Attempt


def attempt(rpc="CreateVolume", subject="pvc-1", start=0.0, end=0.001, code=StatusCode.OK):
    return Attempt(rpc, subject, start, end, code, "")


def verdict(**changes):
    values = {
        "seed": 7,
        "volumes": 20,
        "duration_s": 1.25,
        "rpcs": rpc_rows([attempt(), attempt(code=StatusCode.ABORTED)]),
        "injected": (Seen("websocket cut", 2, 5, {"UNAVAILABLE": 1}),),
        "checks": (Check("nothing leaked", True),),
        "leaks": (),
    }
    return Verdict(**values | changes)


def printed(found, width=100):
    out = io.StringIO()
    print_verdict(found, Console(file=out, width=width))
    return out.getvalue()


def test_percentiles_are_by_nearest_rank():
    values = [1.0, 2.0, 3.0, 4.0]

    assert [percentile(values, percent) for percent in (1, 25, 50, 51, 95, 100)] == [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]
    assert percentile([5.0], 50) == 5.0


def test_calls_are_counted_per_rpc_with_latencies_and_codes():
    rows = rpc_rows(
        [
            attempt("B", end=0.004),
            attempt("A", end=0.002),
            attempt("B", end=0.001, code=StatusCode.ABORTED),
            attempt("B", end=0.010),
        ]
    )

    assert [row.rpc for row in rows] == ["A", "B"]
    assert (rows[1].calls, rows[1].p50_ms, rows[1].p95_ms, rows[1].max_ms) == (3, 4.0, 10.0, 10.0)
    assert rows[1].codes == {"ABORTED": 1, "OK": 2}


def test_what_callers_saw_are_the_calls_that_were_running_then():
    attempts = [
        attempt(start=0, end=1, code=StatusCode.UNAVAILABLE),
        attempt(start=1.5, end=3),
        attempt(start=4, end=5, code=StatusCode.INTERNAL),
    ]

    (seen,) = seen_of([Injection("cut", 0.5, in_flight=3), Injection("cut", 2.0, in_flight=6)], attempts)

    assert seen == Seen("cut", 2, 6, {"OK": 1, "UNAVAILABLE": 1})


def test_a_call_that_is_hit_twice_counts_once_and_a_fault_of_one_volume_hits_that_one():
    attempts = [attempt(subject="pvc-1", end=1, code=StatusCode.ABORTED), attempt(subject="pvc-2", end=1)]
    refused = [Injection("refused", at, subject="pvc-1") for at in (0.1, 0.2)]

    assert seen_of(refused, attempts) == (Seen("refused", 2, 0, {"ABORTED": 1}),)


def test_one_failed_check_fails_the_verdict():
    assert verdict().ok
    failed = verdict(checks=(Check("a", True), Check("b", False, "why")))

    assert not failed.ok
    assert "FAIL b: why" in printed(failed)
    assert printed(failed).splitlines()[-1] == "FAILED: 20 volumes in 1.2 s, seed 7"


def test_json_is_one_object_with_everything():
    text = verdict().to_json()
    found = json.loads(text)

    assert "\n" not in text
    assert found["ok"] is True
    assert found["rpcs"][0]["codes"] == {"ABORTED": 1, "OK": 1}
    assert found["injected"] == [
        {"what": "websocket cut", "times": 2, "calls_in_flight": 5, "codes": {"UNAVAILABLE": 1}}
    ]


def test_the_table_is_readable_on_a_narrow_terminal_too():
    for width in (70, 200):
        text = printed(verdict(), width)
        assert "CreateVolume" in text
        assert "ABORTED 1" in " ".join(text.split())
        assert "websocket cut x2, up to 5 NAS calls in flight; calls that it hit ended with UNAVAILABLE 1" in text
        assert text.splitlines()[-1] == "PASSED: 20 volumes in 1.2 s, seed 7"


def test_names_from_outside_are_not_taken_for_markup():
    assert "FAIL x: [red]gone[/red]" in printed(verdict(checks=(Check("x", False, "[red]gone[/red]"),)))
