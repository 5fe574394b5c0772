from csisim.reports.record import Record
from csisim.reports.timeline import ROWS, Bar, Lane, Phase, timeline
from tests.reports.runs_told import DATASET, STAGING, TARGET, Told, crowd, data_loss


def lanes(told: Told) -> dict[str, Lane]:
    return {lane.title: lane for lane in timeline(Record(told.events)).lanes}


def bars(lane: Lane) -> list[Bar]:
    return [bar for _, bar in lane.bars]


def test_everyone_who_does_something_has_a_lane_in_a_group() -> None:
    _, events = data_loss()
    found = [(lane.group, lane.title) for lane in timeline(Record(events)).lanes]
    assert found == [
        ("Run", "faults"), ("Run", "looked at"), ("Run", "wishes"),
        ("Callers", "client-1"), ("Callers", "client-2"), ("Callers", "client-3"), ("Callers", "kubelet node-1"), ("Callers", "workload node-1"),
        ("Driver", "controller serves"), ("Driver", "locks of controller"), ("Driver", "serves on node-1"),
        ("NAS", "NAS calls"), ("NAS", "objects of the NAS"),
        ("Machines", "node-1 has mounted"), ("Machines", "node-1 is asked"),
    ]  # fmt: skip


def test_calls_look_as_they_ended() -> None:
    told = Told()
    for type_ in ("ok", "fail", "info"):
        told.end(type_, told.call("DeleteVolume", {"volume_id": "pvc-1"}), {"code": "ABORTED"})
    told.call("DeleteVolume", {"volume_id": "pvc-1"})
    found = bars(lanes(told)["client-1"])
    assert [bar.look for bar in found] == ["ok", "fail", "info", "open"]
    assert [(bar.start, bar.end) for bar in found] == [(1, 2), (3, 4), (5, 6), (7, None)]
    assert found[3].title == "DeleteVolume(pvc-1): still out"


def test_a_path_lives_from_its_mount_to_its_unmounting() -> None:
    _, events = data_loss()
    (lane,) = [lane for lane in timeline(Record(events)).lanes if lane.title == "node-1 has mounted"]
    assert [bar.title for bar in bars(lane)] == [f"{STAGING} from nas:/mnt/{DATASET}", f"{TARGET} from {STAGING}"]
    assert [bar.end for bar in bars(lane)] == [None, None]
    told = Told()
    told.add("info", "truth", "mount", {"path": "/a"}, process="node-1")
    told.add("info", "truth", "mount", {"path": "/a"}, process="node-2")
    told.add("info", "truth", "umount", {"path": "/a"}, process="node-1")
    found = lanes(told)
    assert [(bar.start, bar.end) for bar in bars(found["node-1 has mounted"])] == [(1, 3)]
    assert [(bar.start, bar.end) for bar in bars(found["node-2 has mounted"])] == [(2, None)]


def test_what_is_mounted_twice_is_there_until_it_is_unmounted_twice() -> None:
    told = Told()
    for f in ("mount", "bind", "umount", "umount", "umount"):
        told.add("info", "truth", f, {"path": "/a"}, process="node-1")
    assert [(bar.start, bar.end) for bar in bars(lanes(told)["node-1 has mounted"])] == [(1, 4), (2, 3)]


def test_sessions_to_disks_are_told_apart_and_named_by_what_is_behind_them() -> None:
    told = Told()
    for f, volume in (("login", "pvc-1"), ("login", "pvc-2"), ("logout", "pvc-1")):
        told.add("info", "truth", f, {"source": f"/dev/{volume}", "dataset": f"tank/csi/{volume}"}, process="node-1")
    found = bars(lanes(told)["node-1 has mounted"])
    assert [(bar.start, bar.end, bar.label) for bar in found] == [
        (1, 3, "login csi/pvc-1"),
        (2, None, "login csi/pvc-2"),
    ]


def test_a_reboot_ends_all_mounts_of_its_node() -> None:
    told = Told()
    for path in ("/a", "/b"):
        told.add("info", "truth", "mount", {"path": path}, process="node-1")
    told.add("info", "truth", "reboot", {}, process="node-1")
    lane = lanes(told)["node-1 has mounted"]
    assert [bar.end for bar in bars(lane)] == [3, 3]
    assert [mark.seq for mark in lane.marks] == [3]


def test_objects_live_from_creation_to_destruction() -> None:
    told = Told()
    told.add("info", "truth", "created", {"object": f"dataset {DATASET}"}, process="nas")
    told.add("info", "truth", "destroyed", {"object": f"dataset {DATASET}"}, process="nas")
    (bar,) = bars(lanes(told)["objects of the NAS"])
    assert (bar.start, bar.end, bar.label) == (1, 2, "csi/pvc-1")


def test_locks_are_held_and_those_who_find_them_taken_are_marked() -> None:
    told = Told()
    told.add("invoke", "lock", "volume pvc-1", call="a", process="controller")
    told.add("fail", "lock", "volume pvc-1", call="b", process="controller")
    told.add("ok", "lock", "volume pvc-1", call="a", process="controller")
    lane = lanes(told)["locks of controller"]
    assert [(bar.start, bar.end, bar.look) for bar in bars(lane)] == [(1, 3, "lock")]
    assert [(mark.seq, mark.look) for mark in lane.marks] == [(2, "refused")]


def test_things_that_overlap_are_in_different_rows_and_others_share_one() -> None:
    told = Told()
    first, second = (told.call("A", {}) for _ in range(2))
    told.end("ok", first)
    told.end("ok", second)
    told.whole("B", {})
    lane = lanes(told)["client-1"]
    assert [row for row, _ in lane.bars] == [0, 1, 0]
    assert lane.rows == 2


def test_what_finds_no_row_is_counted_and_what_matters_finds_one() -> None:
    told = Told()
    calls = [told.call("A", {}) for _ in range(ROWS + 5)]
    ends = [told.end("ok", call) for call in calls]
    (lane,) = timeline(Record(told.events), [ends[-1]]).lanes
    assert (lane.rows, lane.hidden, len(lane.bars)) == (ROWS, 5, ROWS)
    assert ends[-1] in {bar.end for bar in bars(lane)}


def test_phases_follow_each_other() -> None:
    _, events = data_loss()
    phases = timeline(Record(events)).phases
    assert [phase.name for phase in phases] == ["safety", "heal", "liveness", "end"]
    assert [phase.end for phase in phases] == [phases[1].start, phases[2].start, phases[3].start, None]
    assert isinstance(phases[0], Phase)


def test_names_are_sorted_as_people_count() -> None:
    told = Told()
    for number in (10, 2, 1):
        told.whole("A", {}, process=f"client-{number}")
    assert list(lanes(told)) == ["client-1", "client-2", "client-10"]


def test_an_end_without_a_beginning_begins_before_the_history() -> None:
    told = Told()
    told.whole("A", {})
    ((_, bar),) = timeline(Record(told.events[1:])).lanes[0].bars
    assert (bar.start, bar.end) == (None, 2)


def test_crashes_and_faults_are_marks() -> None:
    told = Told()
    told.add("info", "world", "crash", {"what": "driver", "node": "node-1"})
    told.add("info", "fault", "link.down", {"action": "drop"})
    found = lanes(told)
    assert [mark.look for mark in found["crashes"].marks] == ["crash"]
    assert [mark.look for mark in found["faults"].marks] == ["fault"]


def test_a_busy_run_has_all_its_calls_in_lanes() -> None:
    events = crowd(2_000)
    found = timeline(Record(events)).lanes
    begun = {event.seq for event in events if event.type == "invoke"}
    assert {bar.start for lane in found for bar in bars(lane)} == begun
