"""The history: numbered, in order, bounded, with listeners."""

from csisim.events import Event, History


def make(limit: int | None = None) -> History:
    return History(lambda: 2.5, limit=limit)


def test_events_are_numbered_and_stamped_and_shown_without_empty_members() -> None:
    history = make()
    call = history.new_call()
    history.add("invoke", "rpc", "CreateVolume", call=call, process="node-1", value={"name": "pvc-1"})
    history.add("info", "rpc", "CreateVolume", call=call)
    assert [event.to_json() for event in history.since()] == [
        {"seq": 1, "at_s": 2.5, "type": "invoke", "kind": "rpc", "f": "CreateVolume", "call": "c1", "process": "node-1", "value": {"name": "pvc-1"}},
        {"seq": 2, "at_s": 2.5, "type": "info", "kind": "rpc", "f": "CreateVolume", "call": "c1"},
    ]  # fmt: skip
    assert history.new_call() == "c2"


def test_only_what_came_later_is_given_and_only_the_last_ones_are_kept() -> None:
    history = make(limit=3)
    for number in range(5):
        history.add("ok", "nas", f"f{number}")
    assert [event.seq for event in history.since()] == [3, 4, 5]
    assert [event.seq for event in history.since(4)] == [5]
    assert [event.seq for event in history.since(1)] == [3, 4, 5]
    assert history.since(5) == history.since(99) == []
    assert history.last_seq == 5


def test_of_many_only_the_first_are_given_from_wherever_one_begins() -> None:
    history = make(limit=10)
    for number in range(20):
        history.add("ok", "nas", f"f{number}")
    for since in range(22):
        for limit in (None, 0, 1, 4, 50):
            wanted = [seq for seq in range(11, 21) if seq > since][:limit]
            assert [event.seq for event in history.since(since, limit)] == wanted


def test_listeners_hear_each_event_until_they_stop() -> None:
    history = make()
    heard: list[Event] = []
    stop = history.listen(heard.append)
    history.add("ok", "nas", "a")
    stop()
    history.add("ok", "nas", "b")
    stop()
    assert [event.f for event in heard] == ["a"]


def test_values_are_described_when_they_are_looked_at_or_at_once() -> None:
    history = make()
    described: list[object] = []

    def describe(value: object) -> dict[str, object]:
        described.append(value)
        return {"shown": value}

    history.describe = describe
    history.add("info", "world", "x", value=("raw",))
    history.add("info", "world", "y", value={"plain": 1})
    history.add("info", "world", "z")
    history.since()
    assert described == []
    assert [event.value for event in history.since(plain=True)] == [{"shown": ("raw",)}, {"plain": 1}, {}]
    assert [event.to_json() for event in history.since(plain=True)] == [event.to_json() for event in history.since()]
