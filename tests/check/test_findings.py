"""How checks tell."""

from csisim.check.findings import Findings, short, told
from tests.support.told import Told


def test_calls_are_told_in_a_sentence() -> None:
    story = Told()
    story.create()
    story.attach(code="NOT_FOUND")
    story.begin("rpc", "Probe", "")
    sentences = [told(story.index, call) for call in story.index.steps]
    assert sentences == [
        "CreateVolume(v) by node-1, 0.100 s to 0.200 s, OK",
        "ControllerPublishVolume(v, node-1) by node-1, 0.300 s to 0.400 s, NOT_FOUND",
        "Probe(), begun at 0.500 s, never answered",
    ]


def test_violations_are_bounded_and_their_events_in_order() -> None:
    found = Findings("I1", "why")
    for number in range(200):
        found.add(f"number {number}", (3, 1, 3), 0.5)
    result = found.result()
    assert len(result.violations) == 50
    assert result.violations[0].events == (1, 3)
    assert result.verdict == "violation"


def test_long_texts_lose_their_middle() -> None:
    assert short("x" * 120) == "x" * 120
    assert len(short("x" * 5000)) < 120
