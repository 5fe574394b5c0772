"""The shape of the code base: module and function length, and a test file for every module."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50

# Modules without a test file of their own, each with the tests that run its every line.
TESTED_ELSEWHERE: dict[str, str] = {
    "csisim/co/driver_info.py": "tests/co/test_attacher.py and others have drivers that can do less, and are asked less",
    "csisim/co/intents.py": "tests/co/test_orchestrator.py reads wishes from the history, and what hinders them",
    "csisim/co/node_calls.py": "tests/co/test_kubelet_volumes.py looks at every request of a node",
    "csisim/co/node_side.py": "tests/co/test_kubelet_volumes.py finds its paths in requests, and nothing left of them",
    "csisim/co/objects.py": "records; every test of a controller reads and writes them",
    "csisim/co/process.py": "tests/co/test_orchestrator.py crashes and restarts every process, and waits for its start",
    "csisim/co/reconciler.py": "tests/co/test_attach_detach.py and test_workloads.py wait for what it does later",
    "csisim/co/store.py": "tests/co/test_user.py applies objects twice, changed, and as they may not be changed",
    "csisim/co/timings.py": "settings; tests/co/test_orchestrator.py scales them",
    "csisim/co/volume_binder.py": "tests/co/test_provisioner.py binds and releases; test_snapshotter.py keeps what is used",
    "csisim/control/controlled.py": "a protocol; tests/cluster/test_controlled.py has a driver that fits it",
    "csisim/control/records.py": "records; tests/control/test_client.py reads each of them from a server",
    "csisim/control/schemas.py": "shapes of requests; tests/control/test_rules_api.py and test_acts_api.py send all kinds",
    "csisim/cluster/embedded_nas.py": "tests/features/test_processes.py crashes it and looks at what is left",
    "csisim/cluster/injection.py": "every test in tests/features goes through it; test_rules.py has what it refuses",
    "csisim/cluster/nas_faults.py": "tests/features/test_nas.py sees every fault from a raw websocket",
    "csisim/cluster/nas_replies.py": "tests/features/test_nas.py reads replies that come twice, late or torn",
    "csisim/driver/config.py": "settings without behaviour beyond two derived names; every test of an RPC reads them",
    "csisim/driver/grpc_types.py": "type aliases",
    "csisim/faults/actions.py": "tests/faults/test_grammar.py reads and refuses every action",
    "csisim/faults/barriers.py": "tests/faults/test_plane.py waits at them",
    "csisim/faults/codes.py": "two tables; tests/faults/test_grammar.py reads rules with every entry",
    "csisim/faults/host.py": "tests/features/test_host.py and test_processes.py break every part of a node's machine",
    "csisim/faults/lane.py": "one direction of a link; tests/features/test_link.py sends bytes over both",
    "csisim/faults/link.py": "tests/features/test_link.py looks at the bytes that arrive, and how connections end",
    "csisim/faults/matching.py": "one rule's part of a decision; tests/faults/test_plane.py asks the plane for all of them",
    "csisim/faults/model.py": "records and their text; tests/faults/test_grammar.py reads back whatever is printed",
    "csisim/driver/services.py": "puts the services together; every test of an RPC goes through it",
    "csisim/sim/closed_world.py": "tests/sim/test_determinism.py opens its stand-ins one by one; test_refusals.py escapes",
    "csisim/sim/errors.py": "classes without behaviour",
    "csisim/sim/grpc_seam/channel.py": "tests/sim/grpc_conformance.py, run by grpc_seam/test_seam.py",
    "csisim/sim/grpc_seam/client_call.py": "tests/sim/grpc_conformance.py, run by grpc_seam/test_seam.py",
    "csisim/sim/grpc_seam/server.py": "tests/sim/grpc_conformance.py, run by grpc_seam/test_seam.py",
    "csisim/sim/grpc_seam/server_call.py": "tests/sim/grpc_conformance.py, run by grpc_seam/test_seam.py",
    "csisim/sim/listener.py": "tests/sim/test_network.py listens",
    "csisim/sim/loop_network.py": "tests/sim/test_network.py connects and serves with each of its methods",
    "fake_truenas/context.py": "what handlers are given; tests/fake_truenas/test_nas.py follows changes and events through it",
    "fake_truenas/framing.py": "records and a protocol; test_jsonrpc.py and test_legacy.py read and write with both",
    "fake_truenas/session.py": "a record; tests/fake_truenas/test_server.py logs in and out",
    "fake_truenas/tables.py": "one SQL text; every test with a NAS makes these tables, test_costs.py asks its indexes",
}
TESTED_ELSEWHERE |= {
    f"csisim/mutants/{path.name}": "tests/mutants/test_registry.py reproduces each known bug"
    for path in (ROOT / "csisim/mutants").glob("*.py")
    if path.stem not in {"__init__", "mutant", "registry"}
}
TESTED_ELSEWHERE |= {
    f"csisim/scenarios/{path.name}": "tests/scenarios/test_library.py does each scenario, with the driver and a wrong one"
    for path in (ROOT / "csisim/scenarios").glob("*.py")
    if path.stem not in {"__init__", "expect", "ledger", "library", "play", "wrong_devices"}
}


def modules(*packages: str) -> list[Path]:
    """Every hand-written module of the packages, sorted."""
    found = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return sorted(path for path in found if "_pb2" not in path.name)


def relative(module: Path) -> str:
    """A module's path below the root, the same on every machine."""
    return module.relative_to(ROOT).as_posix()


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function and method, nested ones included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def mirrors(module: Path) -> list[Path]:
    """Where the tests of a module may be: tests/ mirrors csisim's packages, and fake_truenas as a whole."""
    inside = module.relative_to(ROOT / "csisim" if module.is_relative_to(ROOT / "csisim") else ROOT)
    name = f"test_{module.stem.strip('_')}.py"
    folders = [inside.parent, *inside.parent.parents[:-1]]
    return [ROOT / "tests" / folder / name for folder in folders]


def test_modules_and_functions_stay_short() -> None:
    """One test for all: hundreds would take longer to be collected than to be run."""
    too_long = []
    for path in modules("csisim", "fake_truenas", "benchmarks", "tools"):
        source = path.read_text()
        parts = [("it", len(source.splitlines()), LONGEST_MODULE)]
        parts += [(name, length, LONGEST_FUNCTION) for name, length in functions(source)]
        too_long += [f"{relative(path)}: {name} has {length} lines" for name, length, most in parts if length > most]
    assert too_long == []


def test_every_module_has_a_test_file_or_a_reason() -> None:
    written = [path for path in modules("csisim", "fake_truenas") if path.stem != "__init__"]
    without = [relative(path) for path in written if not any(mirror.exists() for mirror in mirrors(path))]
    assert sorted(set(without) - TESTED_ELSEWHERE.keys()) == []


def test_reasons_name_modules_that_exist_and_lack_a_test_file() -> None:
    for name in TESTED_ELSEWHERE:
        path = ROOT / name
        assert path.exists(), f"{name} is gone: take it off the list"
        assert not any(mirror.exists() for mirror in mirrors(path)), f"{name} has a test file: take it off the list"


def test_a_long_function_is_noticed() -> None:
    body = "\n".join(f"    x{line} = {line}" for line in range(LONGEST_FUNCTION))
    nested = f"class A:\n  async def long(self):\n{body}\n  def short(self): ...\n"
    assert dict(functions(nested)) == {"long": LONGEST_FUNCTION + 1, "short": 1}


def test_mirrors_follow_the_packages() -> None:
    def where(module: str) -> list[str]:
        return [str(path.relative_to(ROOT / "tests")) for path in mirrors(ROOT / module)]

    assert where("csisim/driver/node.py") == ["driver/test_node.py"]
    assert where("csisim/errors.py") == ["test_errors.py"]
    assert where("fake_truenas/methods/nvmet.py")[:2] == [
        "fake_truenas/methods/test_nvmet.py",
        "fake_truenas/test_nvmet.py",
    ]
    assert where("fake_truenas/__main__.py")[0] == "fake_truenas/test_main.py"
