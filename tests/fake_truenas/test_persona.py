"""Section 12: what differs between releases, and how one is named."""

import pytest

from fake_truenas.persona import TRAINS, Persona, persona


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("25.10", Persona("25.10.5", "25.10")),
        ("25.10.3", Persona("25.10.3", "25.10")),
        ("24.10.2.4", Persona("24.10.2.4", "24.10")),
        ("26.0", Persona("26.0.0", "26.0")),
    ],
)
def test_a_release_or_a_train_names_a_persona(version: str, expected: Persona) -> None:
    assert persona(version) == expected


@pytest.mark.parametrize("wrong", ["", "25", "25.1", "27.0", "23.10.2", "25.10.x", "25.10.5\n", "٢٥.10", "25.10.5.1.1"])
def test_another_text_is_refused_and_says_what_is_known(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"is not known: a release of 24\.10, 25\.04, 25\.10, 26\.0"):
        persona(wrong)


def test_version_string() -> None:
    assert [persona(train).version_text for train in TRAINS] == [
        "TrueNAS-SCALE-24.10.2", "TrueNAS-25.04.2", "TrueNAS-25.10.5", "TrueNAS-26.0.0",
    ]  # fmt: skip


def test_api_current_json_rpc() -> None:
    assert [persona(train).json_rpc for train in TRAINS] == [False, True, True, True]
    assert persona("25.04").api_versions[-1] == "v25.04.2"


def test_nginx_idle_cut() -> None:
    assert [persona(train).idle_timeout_s for train in TRAINS] == [60, 60, 60, 3600]


@pytest.mark.parametrize(
    "member",
    ["snapshot_update_is_ignored", "duplicate_snapshot_is_invalid", "recursive_delete_takes_clones", "scram"],
)
def test_what_26_changes(member: str) -> None:
    assert [getattr(persona(train), member) for train in TRAINS] == [False, False, False, True]
