"""Kinds of failure: the same for other names, numbers and times, and another one for another failure."""

from typing import Any

import pytest

from csisim.explore.signature import kind_of, signatures


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "client-1's CreateVolume(pvc-1), 1.250 s to 1.3 s: OK",
            "client-12's CreateVolume(pvc-b6e2874b-2752-481c-b660-a5601ddf07dd), 70 s to 1,071.25 s: OK",
        ),
        ("left: dataset tank/csi/pvc-1, snapshot tank/csi/pvc-2@snap-1", "left: dataset tank/csi/x1, snapshot t/y@z"),
        ("left: path /var/lib/kubelet/pods/a, /b", "left: path /x"),
        ("refused with 'no space on tank'", "refused with 'quota of \"a\" is used up'"),
        ("3 tasks were left behind: main, Task-7", "1 tasks were left behind: main, Task-8\nand a second line"),
    ],
)
def test_names_numbers_times_and_paths_make_no_other_kind(one: str, other: str) -> None:
    assert kind_of("I3", one) == kind_of("I3", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CreateVolume(pvc-1) answered OK", "CreateVolume(pvc-1) answered NOT_FOUND"),
        ("CreateVolume(pvc-1) answered OK", "DeleteVolume(pvc-1) answered OK"),
        ("pool.dataset.create was called twice", "pool.dataset.delete was called twice"),
    ],
)
def test_methods_and_codes_do(one: str, other: str) -> None:
    assert kind_of("I3", one) != kind_of("I3", other)
    assert kind_of("I3", one) != kind_of("I4", one)


def test_a_kind_is_one_line_of_a_bounded_length() -> None:
    assert len(kind_of("I1", "lost " * 500)) <= 160
    assert "\n" not in kind_of("I1", "lost\nand more")


def report(*violations: tuple[str, str], **unknown: str) -> dict[str, Any]:
    return {"violations": [{"check": check, "summary": summary} for check, summary in violations], "unknown": unknown}


def test_the_first_violation_of_each_check_comes_before_its_repeats_and_what_is_undecided_last() -> None:
    found = signatures(report(("I3", "left a"), ("I3", "lost b"), ("I1", "gone"), I9="too many states", I10="budget"))
    assert found == ["I3: left a", "I1: gone", "I3: lost b", "undecided I9: too many states", "undecided I10: budget"]


def test_the_same_kind_is_named_once() -> None:
    assert signatures(report(("I3", "left pvc-1"), ("I3", "left pvc-2"))) == ["I3: left #"]
    assert signatures(report()) == []
