from csisim.check.volume_operations import Asked
from csisim.check.volume_state import OnNode, State, Volume, has_snapshot, meant, not_shared

VOLUME = Volume("id-1", 1, 1, (), "", "", confirmed=True)


def test_a_volume_is_meant_by_its_id_and_by_any_while_its_own_is_not_known() -> None:
    assert meant(State(VOLUME), Asked("v", id="id-1")) == VOLUME
    assert meant(State(VOLUME), Asked("v", id="id-2")) is None
    assert meant(State(VOLUME._replace(id="")), Asked("v", id="id-2")) is not None
    assert meant(State(), Asked("v")) is None


def test_a_snapshot_is_the_one_of_its_name_and_id() -> None:
    state = State(VOLUME._replace(snapshots=(("s", "id-s"), ("t", ""))))
    assert has_snapshot(state, Asked("v", snapshot="s", snapshot_id="id-s"))
    assert not has_snapshot(state, Asked("v", snapshot="s", snapshot_id="older"))
    assert has_snapshot(state, Asked("v", snapshot="t", snapshot_id="any"))
    assert not has_snapshot(State(), Asked("v", snapshot="s"))


def test_all_of_several_nodes_have_to_share() -> None:
    published = VOLUME._replace(published=(("n1", "", True), ("n2", "", True)))
    assert not_shared(published, Asked("v", node="n3", shared=True)) == ""
    assert "n1" in not_shared(published, Asked("v", node="n3"))
    assert not_shared(VOLUME, Asked("v", node="n3")) == ""


def test_equal_states_are_equal_whatever_led_to_them() -> None:
    one, two = OnNode("n1", "/stage"), OnNode("n2", "/stage")
    there = State().with_node(two).with_node(one)
    assert there == State().with_node(one).with_node(two)
    assert there.on("n1") == one
    assert there.with_node(OnNode("n1", "")).with_node(OnNode("n2", "")) == State()
