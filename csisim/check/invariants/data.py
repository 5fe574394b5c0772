"""I1, no data loss, and I13, snapshot integrity: what workloads wrote is there, and what was cut stays as it was."""

from typing import Final

from csisim.check.contents import NOTHING, Contents, Expected, source_of
from csisim.check.findings import Findings, at, short, told
from csisim.check.index import Call, Index, value_of
from csisim.check.subjects import Subjects
from csisim.check.truth import Mount, Object, dataset_of, mounts_of, objects_of, volume_of
from csisim.check.verdicts import Result
from csisim.events import Event

_DEEPEST: Final = 8
_WHY_I1: Final = (
    "Bytes reachable through a published volume vanish only through DeleteVolume or the workload itself; nothing is"
    " deleted or formatted through a live mount or over a live file system."
)
_WHY_I13: Final = (
    "A snapshot that the CO knows keeps existing and keeps its content until DeleteSnapshot, and what is restored from"
    " it has that content."
)


def i1(index: Index) -> Result:
    """No data loss."""
    found = Findings("I1", _WHY_I1)
    _reads(index, found, restored=False)
    _formatted(index, found)
    _removed(index, found)
    _destroyed(index, found)
    return found.result()


def i13(index: Index) -> Result:
    """Snapshot integrity."""
    found = Findings("I13", _WHY_I13)
    _reads(index, found, restored=True)
    _snapshots(index, found)
    return found.result()


def _reads(index: Index, found: Findings, *, restored: bool) -> None:
    contents = index.derived(Contents)
    for read in index.calls.get("data", ()):
        if read.f != "read" or not contents.published(read):
            continue
        volume, file = str(read.request.get("volume", "")), str(read.request.get("file", ""))
        expected = contents.expected(volume, file, read.begin, read.end)
        if expected is None or bool(expected.source) is not restored:
            continue
        found.looked_at += 1
        sha = str(read.response.get("sha", NOTHING))
        if sha not in expected.shas:
            _wrong_content(found, read, sha, expected)


def _wrong_content(found: Findings, read: Call, sha: str, expected: Expected) -> None:
    request = read.request
    where = f"file {request.get('file')} of volume {request.get('volume')} on {request.get('node')}"
    got = f"bytes {sha}" if sha else "no such file"
    wanted = " or ".join(f"bytes {each}" if each else "no such file" for each in sorted(expected.shas)[:4])
    origin = f", as it was in {expected.source}" if expected.source else ""
    must = expected.must
    wrote = ""
    if must is not None:
        written = must.request
        wrote = f"; {must.process} wrote bytes {written.get('sha')} on {written.get('node')} at {at(must.end_s)}"
    summary = f"At {at(read.end_s)} {read.process} read {where} and got {got} instead of {wanted}{origin}{wrote}."
    found.add(summary, (*(must.events if must else ()), *read.events), read.end_s)


def _formatted(index: Index, found: Findings) -> None:
    """A file system is made over another one, or below a mount."""
    subjects, mounts = index.derived(Subjects), index.derived(mounts_of)
    made: dict[str, Event] = {}
    for event in index.truth:
        if event.process == "nas" and event.f == "destroyed":
            name = str(value_of(event).get("object", ""))
            made.pop(name.rpartition("/")[2], None)
        if event.f != "make_fs":
            continue
        found.looked_at += 1
        value = value_of(event)
        volume = volume_of(value, subjects.volumes)
        device = str(value.get("source") or value.get("device") or value.get("path") or "")
        what = volume or device
        before = made.get(what) or _brought_along(index, made, volume)
        if before is not None:
            found.add(
                f"At {at(event.at_s)} {event.process} made a file system on {short(device)} ({what}) over the one that"
                f" {before.process} had made at {at(before.at_s)}.",
                (before.seq, event.seq), event.at_s,
            )  # fmt: skip
        for mount in mounts.all:
            if device and mount.source.partition("[/")[0] == device and mount.begin < event.seq < mount.end:
                found.add(
                    f"At {at(event.at_s)} {event.process} made a file system on {short(device)} while it was mounted at"
                    f" {mount.path} on {mount.node}.",
                    (mount.begin, event.seq), event.at_s,
                )  # fmt: skip
                break
        made[what] = event


def _brought_along(index: Index, made: dict[str, Event], volume: str) -> Event | None:
    """The file system that surely came with what a volume was made from."""
    subjects = index.derived(Subjects)
    for _ in range(_DEEPEST):
        # It was made by one of these, and not before the first.
        creates = [each for each in subjects.calls("CreateVolume", volume) if each.effect != "no"]
        sources = {source_of(each) for each in creates}
        if len(sources) != 1:
            return None
        kind, origin = sources.pop()
        cut = min(each.begin for each in creates)
        if kind == "snapshot":
            cuts = index.derived(Contents).cuts_of(origin)
            origin, cut = cuts[:2] if cuts else ("", 0)
        found = made.get(origin)
        if found is not None and found.seq < cut:
            return found
        volume = origin
    return None


def _removed(index: Index, found: Findings) -> None:
    """A path is removed inside something that is mounted: these are the workload's files."""
    mounts = index.derived(mounts_of)
    by_node: dict[str, list[Mount]] = {}
    for mount in mounts.all:
        by_node.setdefault(mount.node, []).append(mount)
    for (node, path), numbers in mounts.removed.items():
        for number in numbers:
            found.looked_at += 1
            for mount in by_node.get(node, ()):
                if mount.begin < number < mount.end and path.startswith(f"{mount.path}/"):
                    event = next(each for each in index.truth if each.seq == number)
                    found.add(
                        f"At {at(event.at_s)} {node} removed {path}, which is inside of what is mounted at"
                        f" {mount.path} ({short(mount.source)}).",
                        (mount.begin, number), event.at_s,
                    )  # fmt: skip
                    break


def _destroyed(index: Index, found: Findings) -> None:
    """The dataset of a volume that the CO was told about goes only in a DeleteVolume, and not below its users."""
    subjects = index.derived(Subjects)
    datasets = [each for each in index.derived(objects_of) if each.kind == "dataset"]
    for volume in subjects.volumes:
        for dataset in datasets:
            if not dataset_of(volume, dataset):
                continue
            known = [each for each in subjects.calls("CreateVolume", volume)
                     if each.effect == "yes" and dataset.begin < each.end < dataset.end]  # fmt: skip
            if known:
                found.looked_at += 1
                if dataset.gone is not None:
                    _one_destroyed(index, found, volume, dataset, known[0])


def _one_destroyed(index: Index, found: Findings, volume: str, dataset: Object, create: Call) -> None:
    subjects, gone = index.derived(Subjects), dataset.gone
    if gone is None:
        return
    deletes = [each for each in subjects.calls("DeleteVolume", volume) if _may_be_by(each, dataset)]
    if not deletes:
        found.add(
            f"At {at(gone.at_s)} {dataset.name} was destroyed, and nobody had called DeleteVolume({volume}) since"
            f" {told(index, create)}.",
            (*create.events, gone.seq), gone.at_s,
        )  # fmt: skip
        return
    for mount in index.derived(mounts_of).all:
        if mount.volume != volume or not mount.begin < gone.seq < mount.end:
            continue
        holder = subjects.done("ControllerPublishVolume", volume, mount.node, min(d.begin for d in deletes), gone.seq)
        if holder is not None:
            found.add(
                f"At {at(gone.at_s)} {dataset.name} was destroyed while it was published on {mount.node} and mounted"
                f" there at {mount.path}.",
                (*holder.events, mount.begin, deletes[-1].begin, gone.seq), gone.at_s,
            )  # fmt: skip
            return


def _snapshots(index: Index, found: Findings) -> None:
    """A snapshot that the CO was told about goes only after somebody asked for that."""
    subjects = index.derived(Subjects)
    objects = [each for each in index.derived(objects_of) if each.kind == "snapshot"]
    if not objects:
        return
    asked = [each for each in index.steps if each.f in {"DeleteSnapshot", "DeleteVolumeGroupSnapshot"}]
    for create in index.steps:
        if create.f != "CreateSnapshot" or not create.ok:
            continue
        snapshot = subjects.snapshot(create)
        for each in objects:
            gone = each.gone
            if each.id.rpartition("/")[2] != snapshot or not each.begin < create.end < each.end:
                continue
            found.looked_at += 1
            if gone is None or each.moved:
                continue
            if not any(_may_be_by(call, each) and _names(call, snapshot) for call in asked):
                found.add(
                    f"At {at(gone.at_s)} {each.name} was destroyed, and nobody had called DeleteSnapshot({snapshot})"
                    f" since {told(index, create)}.",
                    (*create.events, gone.seq), gone.at_s,
                )  # fmt: skip


def _may_be_by(call: Call, thing: Object) -> bool:
    """Whether something may have gone by this call: also by one that began before it was made, and came late."""
    return call.begin < thing.end and thing.begin < call.settled


def _names(call: Call, snapshot: str) -> bool:
    if call.f == "DeleteSnapshot":
        return bool(call.request.get("snapshot_id") == snapshot)
    ids = call.request.get("snapshot_ids")
    return not ids or snapshot in ids
