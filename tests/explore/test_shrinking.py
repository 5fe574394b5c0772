"""Each kind of failure of a campaign is shrunk once."""

from pathlib import Path

from csisim.executors import Inline, Workplace
from csisim.explore.campaign import campaign
from csisim.explore.journal import Writer, read
from csisim.explore.mix import Mix
from csisim.explore.records import Failure, Shrunk
from csisim.explore.shrink import Bounds
from csisim.explore.shrinking import shrink_groups
from csisim.explore.tally import Tally, tally_of
from csisim.explore.work import fails_so
from csisim.runs.plan import RunPlan
from csisim.runs.replay import Replay
from tests.explore.samples import BROKEN, TINY, UNLOCKED

PLACE = Workplace(Inline(), 1)


def test_a_kind_is_shrunk_once_and_is_in_the_file(tmp_path: Path) -> None:
    path, tally, told = tmp_path / "a.jsonl", Tally(), list[str]()
    with Writer.begin(path.open("xb"), Mix(BROKEN), range(6)) as writer:
        campaign(Mix(BROKEN), [range(6)], PLACE, tally, writer=writer)
        shrink_groups(tally, PLACE, writer=writer, bounds=Bounds(runs=6), told=told.append)
        shrink_groups(tally, PLACE, writer=writer, bounds=Bounds(runs=6), told=told.append)
    shrunk = tally.groups[UNLOCKED].shrunk
    assert shrunk is not None
    assert (shrunk.runs, shrunk.finished) == (6, False)
    assert fails_so(shrunk.replay, UNLOCKED)
    assert [each for each in read(path).records if isinstance(each, Shrunk)] == [shrunk]
    assert len(told) == 1
    assert told[0].startswith(f"shrunk {UNLOCKED[:40]}")


def test_at_most_so_many_kinds_are_shrunk_and_one_that_cannot_be_done_again_is_said() -> None:
    replay = Replay(RunPlan(seed=1, **TINY)).token()
    failures = [
        Failure(seed=seed, verdict="violation", signature=name, summary="", plan={"seed": seed}, trace_hash="",
                replay=replay, version="")
        for seed, name in enumerate(("I1: often", "I1: often", "I2: seldom"))
    ]  # fmt: skip
    told = list[str]()
    tally = tally_of(failures)
    shrink_groups(tally, PLACE, most=1, told=told.append)
    assert len(told) == 1
    assert "I1: often: could not be done again" in told[0]
    assert all(group.shrunk is None for group in tally.groups.values())
