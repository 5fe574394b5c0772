import pytest

from csisim.check.lists import check_lists
from csisim.pb import csi_pb2 as csi
from tests.support.calls import Script, create, created, cut, delete, destroy, snapshot

Volumes, Snapshots = csi.ListVolumesResponse, csi.ListSnapshotsResponse


def ask(token: str = "", **members: int) -> csi.ListVolumesRequest:
    return csi.ListVolumesRequest(starting_token=token, **members)


def volumes(*ids: str, then: str = "") -> Volumes:
    entries = [Volumes.Entry(volume=csi.Volume(volume_id=each)) for each in ids]
    return Volumes(entries=entries, next_token=then)


def snapshots(*ids: str, then: str = "") -> Snapshots:
    made = [csi.Snapshot(snapshot_id=each, source_volume_id=each.partition("@")[0]) for each in ids]
    return Snapshots(entries=[Snapshots.Entry(snapshot=each) for each in made], next_token=then)


def with_volumes(*ids: str) -> Script:
    script = Script()
    for each in ids:
        script.call(create(each), created(each))
    return script


def told(script: Script) -> list[str]:
    return [each.summary for each in check_lists(script.events).violations]


def test_a_walk_that_shows_everything_once_is_right() -> None:
    script = with_volumes("a", "b", "c")
    script.call(ask(), volumes("a", "b", then="after b"))
    script.call(ask("after b"), volumes("c"))
    found = check_lists(script.events)
    assert (found.check, found.verdict, found.looked_at) == ("I14", "ok", 1)


def test_what_was_there_all_the_time_and_is_not_shown_is_told_with_its_creation() -> None:
    script = with_volumes("a", "b", "c")
    script.call(ask(), volumes("a", then="after a"))
    script.call(ask("after a"), volumes("c"))
    (violation,) = check_lists(script.events).violations
    assert violation.summary == ("ListVolumes by client-1, 7 to 10 s, did not show b, which was there from 4 s on.")
    assert violation.events == (3, 4, 7, 10)
    assert violation.detail == "7 to 8 s, token '': a\n9 to 10 s, token 'after a': c"


def test_a_walk_that_did_not_come_to_its_end_misses_nothing_yet() -> None:
    script = with_volumes("a", "b")
    script.call(ask(), volumes("a", then="after a"))
    script.call(ask("after a"), "UNAVAILABLE")
    assert told(script) == []


def test_a_page_whose_answer_was_lost_is_asked_for_again() -> None:
    script = with_volumes("a", "b")
    script.call(ask(), volumes("a", then="after a"))
    script.call(ask("after a"), "UNAVAILABLE")
    script.call(ask("after a"), volumes())
    assert told(script) == ["ListVolumes by client-1, 5 to 10 s, did not show b, which was there from 4 s on."]


def test_what_comes_or_goes_during_a_walk_may_be_shown_or_not() -> None:
    for shown in ((), ("a",), ("a", "b"), ("b",)):
        script = with_volumes("a")
        walk = script.begin(ask())
        script.call(delete("a"))
        script.call(create("b"), created("b"))
        script.end(walk, volumes(*shown))
        assert told(script) == []


def test_what_a_lost_deletion_may_have_removed_need_not_be_shown() -> None:
    script = with_volumes("a")
    script.call(delete("a"), "DEADLINE_EXCEEDED")
    script.call(ask(), volumes())
    script.call(ask(), volumes("a"))
    assert told(script) == []


def test_a_refused_deletion_removed_nothing() -> None:
    script = with_volumes("a")
    script.call(delete("a"), "FAILED_PRECONDITION")
    script.call(ask(), volumes())
    assert told(script) == ["ListVolumes by client-1, 5 to 6 s, did not show a, which was there from 2 s on."]


def test_nothing_is_shown_twice() -> None:
    script = with_volumes("a")
    script.call(ask(), volumes("a", then="after a"))
    script.call(ask("after a"), volumes("a"))
    assert told(script) == ["ListVolumes by client-1, 3 to 6 s, showed a twice."]


def test_what_was_deleted_before_a_walk_or_never_made_is_not_shown() -> None:
    script = with_volumes("a")
    script.call(delete("a"))
    script.call(ask(), volumes("a", "ghost", then="more"))
    where = "The beginning of ListVolumes by client-1, 5 to 6 s, showed"
    assert told(script) == [
        f"{where} a, which was deleted before it began.",
        f"{where} ghost, which nobody had created.",
    ]
    assert check_lists(script.events, existing=["ghost"]).violations[0].events == (4, 5, 6)
    assert len(check_lists(script.events, existing=["ghost"]).violations) == 1


def test_what_was_made_again_may_be_shown_again() -> None:
    script = with_volumes("a")
    script.call(delete("a"))
    script.call(create("a"), created("a"))
    script.call(ask(), volumes("a"))
    assert told(script) == []
    script.call(ask(), volumes())
    assert len(told(script)) == 1


def test_a_lost_creation_may_show_under_an_id_that_nobody_was_told() -> None:
    script = Script()
    script.call(ask(), volumes("id-7"))
    script.call(create("pvc-1"), "DEADLINE_EXCEEDED")
    script.call(ask(), volumes("id-7"))
    assert told(script) == ["ListVolumes by client-1, 1 to 2 s, showed id-7, which nobody had created."]


def test_a_creation_that_is_refused_may_be_seen_only_while_it_is_under_way() -> None:
    script = Script()
    walk = script.begin(ask())
    made = script.begin(create("a"))
    script.end(walk, volumes("a"))
    script.end(made, "RESOURCE_EXHAUSTED")
    assert told(script) == []
    script.call(ask(), volumes("a"))
    assert len(told(script)) == 1


def test_walks_of_several_processes_are_told_apart() -> None:
    script = with_volumes("a", "b")
    for process in ("client-1", "client-2"):
        script.call(ask(), volumes("a", then="after a"), process=process)
    for process in ("client-1", "client-2"):
        script.call(ask("after a"), volumes("b"), process=process)
    found = check_lists(script.events)
    assert (found.looked_at, found.violations) == (2, ())


def test_snapshots_are_walked_by_the_same_rule_and_a_filter_shows_only_what_it_asks_for() -> None:
    script = with_volumes("a", "b")
    for source in ("a", "b"):
        script.call(cut("s", source), snapshot("s", source))
    script.call(csi.ListSnapshotsRequest(source_volume_id="a"), snapshots("a@s"))
    script.call(csi.ListSnapshotsRequest(snapshot_id="b@s"), snapshots("b@s"))
    assert told(script) == []
    script.call(csi.ListSnapshotsRequest(source_volume_id="a"), snapshots("b@s"))
    where = "ListSnapshots by client-1, 13 to 14 s,"
    assert told(script) == [
        f"{where} did not show a@s, which was there from 6 s on.",
        f"{where} showed b@s, which its filter does not ask for.",
    ]


def test_members_of_a_group_are_listed_until_the_group_is_deleted() -> None:
    script = with_volumes("a")
    group = csi.VolumeGroupSnapshot(
        group_snapshot_id="g", snapshots=[csi.Snapshot(snapshot_id="a@g", source_volume_id="a")]
    )
    request = csi.CreateVolumeGroupSnapshotRequest(name="g", source_volume_ids=["a"])
    script.call(request, csi.CreateVolumeGroupSnapshotResponse(group_snapshot=group))
    script.call(csi.ListSnapshotsRequest(), snapshots())
    script.call(csi.DeleteVolumeGroupSnapshotRequest(group_snapshot_id="g", snapshot_ids=["a@g"]))
    script.call(csi.ListSnapshotsRequest(), snapshots("a@g"))
    assert [each.partition("s, ")[2] for each in told(script)] == [
        "did not show a@g, which was there from 4 s on.",
        "showed a@g, which was deleted before it began.",
    ]


def test_a_deleted_snapshot_is_not_missed() -> None:
    script = with_volumes("a")
    script.call(cut("s", "a"), snapshot("s", "a"))
    script.call(destroy("a@s"))
    script.call(csi.ListSnapshotsRequest(), snapshots())
    assert told(script) == []


@pytest.mark.parametrize(
    ("token", "answer", "wrong"),
    [
        ("no-such", "ABORTED", False),
        ("no-such", "UNAVAILABLE", False),
        ("no-such", "INVALID_ARGUMENT", True),
        ("no-such", volumes(), True),
        ("after-a", volumes("a"), False),
        ("given", volumes(), False),
    ],
)
def test_a_token_that_nobody_was_given_is_answered_with_aborted(
    token: str, answer: csi.ListVolumesResponse | str, *, wrong: bool
) -> None:
    script = with_volumes("a")
    script.call(ask(), volumes("a", then="given"))
    script.call(ask(token), answer)
    assert bool(told(script)) is wrong


def test_without_its_beginning_a_history_is_not_judged() -> None:
    script = with_volumes("a")
    script.call(ask(), volumes("ghost"))
    assert check_lists(script.events[1:]).verdict == "unknown"


def test_a_history_without_lists_was_not_looked_at() -> None:
    assert check_lists(with_volumes("a").events).looked_at == 0
