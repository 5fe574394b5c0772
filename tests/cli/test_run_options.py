"""Options that commands with runs share."""

from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from csisim.cli.main import app
from csisim.cli.run_options import faults_of, planned, rules_of, seeds_of, shard_of, size_of
from csisim.runs.plan import BadPlan


def test_spans_and_sizes_are_read() -> None:
    assert seeds_of("3:10") == range(3, 10)
    assert size_of("3x5") == {"clients": 3, "operations": 5}
    assert size_of("8x20x4") == {"clients": 8, "operations": 20, "volumes": 4}


@pytest.mark.parametrize("text", ["", "3", "5:5", "6:5", "-1:5", "a:b", "1:2:3", "\u0663:\u0665"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not A:B with A below B"):
        seeds_of(text)


@pytest.mark.parametrize("text", ["", "3", "3x", "3x5x2x1", "x5", "3X5"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not CxO or CxOxV"):
        size_of(text)


def test_rules_come_from_flags_and_files(tmp_path: Path) -> None:
    file = tmp_path / "rules"
    file.write_text("mount.umount: 2*error(EBUSY)\n")
    assert rules_of(["rpc.*.after: 5%drop", f"@{file}"]) == ("rpc.*.after: 5%drop", "mount.umount: 2*error(EBUSY)")
    assert faults_of(["all"]) == ("all",)
    file.write_text("# nothing yet\n")
    assert faults_of([f"@{file}"]) == ("none",)


@pytest.mark.parametrize("given", [["all", "none"], ["nonsense"], ["@/nowhere/at/all"], [""], [" \n"], ["# all"]])
def test_wrong_rules_are_refused(given: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        faults_of(given)


def test_what_is_wrong_with_a_plan_names_the_flag_that_was_typed() -> None:
    def made(text: str) -> Callable[[], None]:
        def make() -> None:
            raise BadPlan(text)

        return make

    with pytest.raises(typer.BadParameter) as refused:
        planned(made("size-bytes: 0 is not from 1"))
    assert (refused.value.param_hint, refused.value.message) == ("--size-bytes", "0 is not from 1")
    with pytest.raises(typer.BadParameter) as refused:
        planned(made("clients: 0 are none"))
    assert (refused.value.param_hint, refused.value.message) == ("--size", "clients: 0 are none")
    with pytest.raises(typer.BadParameter) as refused:
        planned(made("seed: -1 is none"), seed="--seeds")
    assert (refused.value.param_hint, refused.value.message) == ("--seeds", "seed: -1 is none")
    with pytest.raises(typer.BadParameter) as refused:
        planned(made("'A: B' is no plan"))
    assert (refused.value.param_hint, refused.value.message) == (None, "'A: B' is no plan")


def test_shards_cover_all_seeds_once_and_none_is_much_longer() -> None:
    for of in (1, 3, 7, 20):
        parts = [shard_of(range(5, 20), f"{number}/{of}", {}) for number in range(of)]
        assert [seed for part in parts for seed in part] == list(range(5, 20))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_pod_of_an_indexed_job_has_its_own_shard() -> None:
    assert shard_of(range(100), None, {"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "4"}) == range(75, 100)
    assert shard_of(range(100), "0/2", {"JOB_COMPLETION_INDEX": "3", "JOB_COMPLETIONS": "4"}) == range(50)
    assert shard_of(range(100), None, {"JOB_COMPLETIONS": "4"}) == range(100)


@pytest.mark.parametrize("text", ["", "4/4", "-1/4", "1", "a/b", "1/0"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not I/N"):
        shard_of(range(10), text, {})


def test_a_pod_that_does_not_know_of_how_many_it_is_says_what_to_do() -> None:
    with pytest.raises(typer.BadParameter, match="JOB_COMPLETIONS does not say of how many"):
        shard_of(range(10), None, {"JOB_COMPLETION_INDEX": "3"})


@pytest.mark.parametrize("jobs", ["0", "1001"])
@pytest.mark.parametrize("command", ["explore --seeds 0:1", "mutants hunt", "scenarios run N03", "sweep"])
def test_there_are_as_many_processes_at_most_everywhere(command: str, jobs: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--jobs", jobs])
    assert result.exit_code == 2
    assert f"'--jobs': {jobs} is not a number from 1 to 1000" in " ".join(result.output.split())
