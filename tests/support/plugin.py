"""Pytest hooks of the whole suite: the `spec` marker and the hypothesis profiles.

`pytest --hypothesis-profile=thorough` searches longer and with fresh random inputs; the default profile is reproducible.
"""

import pytest
from hypothesis import HealthCheck, settings

_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "reproducible",
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=_HEALTH,
)
settings.register_profile("thorough", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=_HEALTH)
settings.load_profile("reproducible")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "spec(title): the csi-sanity spec that this test stands for, by its exact title")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the title into JUnit reports, where results are compared with csi-sanity's own."""
    for item in items:
        marker = item.get_closest_marker("spec")
        if marker is not None:
            item.user_properties.append(("spec", marker.args[0]))
