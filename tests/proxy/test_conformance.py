"""A part of the conformance run through the proxy; `make conformance-proxy` runs all of it."""

# ruff: noqa: F401 - pytest finds fixtures and tests by their names here
from collections.abc import Iterator

import pytest

from tests.conformance.conftest import ATTACH_LIMIT, access_type, call, connection, sanity
from tests.conformance.test_identity import *  # noqa: F403
from tests.conformance.test_serving import (
    test_an_rpc_that_does_not_exist_is_unimplemented,
    test_reflection_lists_the_services,
    test_standard_health_says_serving,
    test_the_socket_is_private_and_alone_in_its_directory,
)
from tests.conformance.test_snapshot_metadata import *  # noqa: F403
from tests.support.processes import Server
from tests.support.proxied import ProxiedDriver


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("csi")
    flags = ("--max-volumes-per-node", str(ATTACH_LIMIT))
    process = ProxiedDriver(directory, flags, directory / "csi.sock").start()
    yield process
    process.stop()
