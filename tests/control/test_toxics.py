import pytest

from csisim.control.toxics import ToxicError, read_toxic


def toxic(type_, stream="downstream", toxicity=1, **attributes):
    return read_toxic({"type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes})


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (toxic("latency", latency=100), "link.down: delay(100ms)"),
        (toxic("latency", "upstream", latency=100, jitter=30), "link.up: delay(70ms..130ms)"),
        (toxic("latency", latency=5, jitter=30), "link.down: delay(0..35ms)"),
        (toxic("bandwidth", "upstream", rate=64), "link.up: throttle(64000B/s)"),
        (toxic("bandwidth"), "link.down: disconnect(half)"),
        (toxic("slow_close", delay=1500), "fin.down: delay(1500ms)"),
        (toxic("timeout"), "link.down: disconnect(half)"),
        (toxic("timeout", timeout=2000), "link.down: disconnect(fin, 2s)"),
        (toxic("reset_peer"), "link.down: disconnect(rst)"),
        (toxic("reset_peer", "upstream", timeout=250), "link.up: disconnect(rst, 250ms)"),
        (toxic("slicer", average_size=16, size_variation=4, delay=50), "link.down: slice(16B, 50us)"),
        (toxic("slicer"), "link.down: slice(1B)"),
        (toxic("limit_data", bytes=1000), "link.down: limit(1000B)"),
        (toxic("latency", toxicity=0.25, latency=1), "link.down: 25%delay(1ms)"),
        (toxic("latency", toxicity=0.000001, latency=1), "link.down: 0.0001%delay(1ms)"),
        (toxic("latency", toxicity=0, latency=1), "link.down: 0%delay(1ms)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_toxic_is_a_rule_of_the_link(made, rule):
    assert str(made.rule()) == rule
    assert made.rule().name == f"toxic:{made.name}"


def test_what_is_left_out_has_the_defaults_of_a_toxiproxy():
    assert read_toxic({"type": "latency"}).to_json() == {
        "attributes": {"latency": 0, "jitter": 0},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 1.0,
    }


def test_an_update_keeps_what_it_leaves_out_and_what_cannot_change():
    old = toxic("latency", latency=100, jitter=7)

    new = read_toxic(
        {"attributes": {"latency": 5}, "toxicity": 0.5, "type": "slicer", "stream": "upstream", "name": "x"}, old
    )

    assert (new.name, new.type, new.stream, new.toxicity) == ("latency_downstream", "latency", "downstream", 0.5)
    assert new.attributes == {"latency": 5, "jitter": 7}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "invalid toxic type: there are latency, bandwidth"),
        ({"type": "packet_loss"}, "invalid toxic type"),
        ({"type": ["latency"]}, "invalid toxic type"),
        ({"type": "latency", "stream": "sideways"}, "stream was invalid, can be either upstream or downstream"),
        ({"type": "latency", "stream": ["up"]}, "stream was invalid"),
        ({"type": "latency", "toxicity": 1.1}, "toxicity 1.1 is not a number from 0 to 1"),
        ({"type": "latency", "toxicity": float("nan")}, "toxicity nan"),
        ({"type": "latency", "toxicity": "1"}, "toxicity '1'"),
        ({"type": "latency", "attributes": [1]}, "attributes is not an object"),
        ({"type": "latency", "attributes": {"latency": -1}}, "latency -1 is not a number from 0"),
        ({"type": "latency", "attributes": {"latency": 1.5}}, "latency 1.5"),
        ({"type": "latency", "attributes": {"latency": True}}, "latency True"),
        ({"type": "latency", "attributes": {"latency": 10**30}}, "is not a number"),
        ({"type": "latency", "attributes": {"latency": float("inf")}}, "latency inf"),
        ({"type": "latency", "name": "a/b"}, "a name has at most 80"),
        ({"type": "latency", "name": 3}, "a name has at most 80"),
    ],
)
def test_what_is_no_toxic_is_refused_as_a_toxiproxy_does(given, says):
    with pytest.raises(ToxicError, match=says):
        read_toxic(given)
