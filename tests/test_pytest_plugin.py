"""The plugin as somebody else's suite sees it: how tests run, what a failure prints, and what it leaves alone."""

import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function"


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty suite that does not inherit this one's options."""
    pytester.makeini(f"[pytest]\naddopts = --strict-markers -p no:cacheprovider\n{LOOP_SCOPE}")
    return pytester


def run(suite: pytest.Pytester, text: str, *arguments: str) -> pytest.RunResult:
    suite.makepyfile(test_theirs=text)
    return suite.runpytest_inprocess(*arguments)


CALLS = """
    import asyncio
    from csisim.pb import csi_pb2 as csi

    async def test_it_serves(cluster):
        caller = cluster.caller("client-1")
        reply = await caller.controller.ControllerGetCapabilities(
            csi.ControllerGetCapabilitiesRequest(), timeout=10)
        await caller.close()
        assert reply.capabilities
        assert (type(asyncio.get_running_loop()).__name__ == "SimLoop") == cluster.simulated
"""


def test_a_test_runs_simulated_and_on_real_sockets(suite: pytest.Pytester) -> None:
    result = run(suite, CALLS, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_it_serves[[]sim[]] PASSED*", "*::test_it_serves[[]real[]] PASSED*"])


def test_it_works_where_another_plugin_takes_every_coroutine_for_its_own(suite: pytest.Pytester) -> None:
    suite.makeini(f"[pytest]\nasyncio_mode = auto\n{LOOP_SCOPE}")
    run(suite, CALLS).assert_outcomes(passed=2)


def test_a_mark_chooses_how_and_with_what(suite: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.csisim(mode="sim", nodes=3, faults="rpc.NodeGetInfo.before: off", strategy="walk")
        async def test_three(cluster, tmp_path):
            assert cluster.simulated and list(cluster.nodes) == ["node-1", "node-2", "node-3"]
            assert [state.rule.site for state in cluster.faults.plane.rules] == ["rpc.NodeGetInfo.before"]

        @pytest.mark.csisim(mode="sim")
        class TestAll:
            @pytest.mark.csisim(nodes=("a",))
            async def test_one(self, cluster):
                assert list(cluster.nodes) == ["a"]
    """
    run(suite, text).assert_outcomes(passed=2)


def test_seeds_are_tests_of_their_own_and_a_failure_says_how_to_run_it_again(suite: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.csisim(mode="sim")
        async def test_seeds(cluster):
            assert cluster.seed != 6
    """
    result = run(suite, text, "--csisim-seed", "5", "--csisim-seeds", "3")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*csisim: seed 6*", "*pytest 'test_theirs.py::test_seeds[[]sim[]]' --csisim-seed 6"])
    again = suite.runpytest_inprocess("test_theirs.py::test_seeds[sim]", "--csisim-seed", "6")
    again.assert_outcomes(failed=1)


def test_what_never_ends_fails_with_what_each_task_waits_for(suite: pytest.Pytester) -> None:
    text = """
        import asyncio, pytest

        @pytest.mark.csisim(mode="sim", limit_s=100)
        async def test_waits(cluster):
            await asyncio.get_running_loop().create_future()
    """
    result = run(suite, text)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*has not ended within 100 s*", "*test_theirs.py:* test_waits*"])


def test_wrong_uses_are_named(suite: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.mark.csisim(mode="sim")
        def test_plain(cluster): ...

        @pytest.mark.csisim(mode="sim", colour="red")
        async def test_option(cluster): ...

        @pytest.mark.csisim(mode="sim", strategy="hope")
        async def test_strategy(cluster): ...
    """
    result = run(suite, text)
    result.assert_outcomes(failed=1, errors=2)
    result.stdout.fnmatch_lines_random(
        ["*uses `cluster` is an `async def`*", "*'colour' is no option: there are mode, *", "*'hope' is no strategy*"]
    )


@pytest.mark.parametrize("mark", ['mode="imaginary"', '"sim"'])
def test_a_mark_that_says_nothing_sensible_ends_the_collection(suite: pytest.Pytester, mark: str) -> None:
    text = f"import pytest\n\n@pytest.mark.csisim({mark})\nasync def test_it(cluster): ...\n"
    result = run(suite, text)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*test_it: mark csisim: *"])


@pytest.mark.parametrize("seed", ["-1", "x", "9" * 19])
def test_a_seed_is_a_whole_number(suite: pytest.Pytester, seed: str) -> None:
    result = run(suite, CALLS, "--csisim-seed", seed)
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_suite_with_a_cluster_of_its_own_keeps_it(suite: pytest.Pytester) -> None:
    text = """
        import pytest

        @pytest.fixture
        def cluster():
            return "theirs"

        def test_theirs(cluster):
            assert cluster == "theirs"
    """
    result = run(suite, text, "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*::test_theirs PASSED*"])


def test_loading_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, csisim.pytest_plugin; "
        "print(sorted({'grpc', 'google.protobuf', 'fastapi', 'asyncio', 'websockets', 'csisim.runs'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert child.stdout.strip() in {"[]", "['asyncio']"}  # pytest itself may have asyncio
