"""Puts the checkout on the import path, so that tests can share `tests.support`, and loads its plugin.

Compiled tests are kept in pytest's own cache directory, also where the environment keeps Python from writing any:
rewriting the assertions of all of them anew takes each process of a run several seconds.
"""

import gc
import os
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core tells of every connection that a test cuts
sys.dont_write_bytecode = False
sys.pycache_prefix = str(Path(ROOT) / ".pytest_cache" / "bytecode")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start keep theirs there too
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix

gc.disable()  # until everything is collected: what modules and tests are made of stays

pytest_plugins = ["tests.support.plugin"]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than there are processors: tests wait for sockets and timers a fifth of the time."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Thousands of collected tests are not garbage, and to look through them again and again takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
