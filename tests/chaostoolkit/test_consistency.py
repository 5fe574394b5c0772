"""What may be concluded from answered calls, and what may not."""

from typing import Any

import pytest

from csisim.chaostoolkit.consistency import contradictions

HERE = ["dataset tank/csi/v", "nfs share /mnt/tank/csi/v"]


def create(call: str, outcome: str = "ok", name: str = "v", volume_id: str = "v") -> list[dict[str, Any]]:
    """A call from beginning to end; no outcome leaves it running."""
    begin = {"type": "invoke", "f": "CreateVolume", "call": call, "value": {"name": name}}
    value = {"volume": {"volume_id": volume_id}} if outcome == "ok" else {"code": "UNAVAILABLE"}
    return [begin, {"type": outcome, "f": "CreateVolume", "call": call, "value": value}] if outcome else [begin]


def delete(call: str, outcome: str = "ok", volume_id: str = "v") -> list[dict[str, Any]]:
    begin = {"type": "invoke", "f": "DeleteVolume", "call": call, "value": {"volume_id": volume_id}}
    return [begin, {"type": outcome, "f": "DeleteVolume", "call": call}] if outcome else [begin]


def test_an_answered_creation_is_there_and_an_answered_deletion_is_not() -> None:
    assert contradictions(create("1"), HERE) == []
    assert contradictions(create("1"), []) == ["dataset v was created, and is not there"]
    assert contradictions([*create("1"), *delete("2")], []) == []
    assert contradictions([*create("1"), *delete("2")], HERE) == ["dataset v was deleted, and is still there"]


@pytest.mark.parametrize("outcome", ["info", ""], ids=["outcome unknown", "under way"])
def test_nothing_is_concluded_while_a_call_may_still_do_something(outcome: str) -> None:
    for there in ([], HERE):
        assert contradictions([*create("1"), *delete("2", outcome)], there) == []
        assert contradictions([*create("1"), *delete("2"), *create("3", outcome)], there) == []
        assert contradictions(create("1", outcome), there) == []


def test_a_refused_call_changes_nothing() -> None:
    assert contradictions([*create("1"), *delete("2", "fail")], []) == ["dataset v was created, and is not there"]
    assert contradictions(create("1", "fail"), HERE) == []


def test_an_answer_settles_what_came_before_of_its_kind() -> None:
    retried = [*create("1"), *delete("2", "info"), *delete("3")]
    assert contradictions(retried, HERE) == ["dataset v was deleted, and is still there"]


def test_what_changed_while_the_nas_was_asked_is_left_out() -> None:
    assert contradictions(create("1"), [], meanwhile=delete("2")) == []
    assert contradictions(create("1"), [], meanwhile=[*delete("2"), *create("3")]) == []
    assert contradictions(create("1"), [], meanwhile=delete("2", volume_id="w")) != []


def test_names_and_ids_may_differ() -> None:
    made = create("1", name="a name", volume_id="a-name-x1")
    assert contradictions(made, ["dataset tank/csi/a-name-x1"]) == []
    again = [*made, *delete("2", volume_id="a-name-x1"), *create("3", "info", name="a name", volume_id="")]
    assert contradictions(again, ["dataset tank/csi/a-name-x1"]) == []


def test_snapshots_are_held_to_the_same() -> None:
    taken = [
        {"type": "invoke", "f": "CreateSnapshot", "call": "1", "value": {"name": "s", "source_volume_id": "v"}},
        {"type": "ok", "f": "CreateSnapshot", "call": "1", "value": {"snapshot": {"snapshot_id": "v@s"}}},
    ]
    assert contradictions(taken, ["snapshot tank/csi/v@s"]) == []
    assert contradictions(taken, HERE) == ["snapshot v@s was created, and is not there"]


def test_a_volume_whose_creation_the_history_does_not_know_is_nobodys() -> None:
    assert contradictions([], HERE) == []
