"""Pytest hooks of the whole suite: the `spec` marker and the hypothesis profiles.

`pytest --hypothesis-profile=thorough` searches longer and with fresh random inputs; the default profile is reproducible.
"""

import copyreg
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.support import processes

_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "reproducible",
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=_HEALTH,
)
settings.register_profile("thorough", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=_HEALTH)
settings.load_profile("reproducible")


# As structlog does by default, but for tracebacks in colours: those took a fifth of the time of some tests.
_PLAIN = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)


def _log_plainly() -> None:
    structlog.reset_defaults()
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _PLAIN])


_log_plainly()


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """What a test does with the logs of its process, such as silence them, is nothing to the next one's."""
    yield
    if logging.root.manager.disable != logging.NOTSET:
        logging.disable(logging.NOTSET)
        _log_plainly()
    elif structlog.get_config()["processors"][-1] is not _PLAIN:
        _log_plainly()


@pytest.fixture
def with_dask() -> Iterator[None]:
    """Skips where there is none. Importing it changes how exceptions are pickled, which other tests look at."""
    before = dict(copyreg.dispatch_table)
    pytest.importorskip("distributed")
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator["processes.Server"]:
    """One running driver with a control server for all tests that ask for it; each leaves it healed and empty."""
    from tests.support import processes

    server = processes.driver(tmp_path_factory.mktemp("driver"), "--control", "127.0.0.1:0", "--fault-seed", "7")
    server.start()
    yield server
    server.stop()


def pytest_collection_finish() -> None:
    """Where tests start processes, have what these are forked from import everything meanwhile."""
    forked = sys.modules.get("tests.support.forked")
    if forked is not None:
        forked.prepare()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "spec(title): the csi-sanity spec that this test stands for, by its exact title")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the title into JUnit reports, where results are compared with csi-sanity's own."""
    for item in items:
        marker = item.get_closest_marker("spec")
        if marker is not None:
            item.user_properties.append(("spec", marker.args[0]))
