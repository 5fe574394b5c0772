"""The served methods, one module per namespace; each puts its `Namespace`s into a tuple `namespaces`."""

import importlib
import pkgutil
from functools import cache

from fake_truenas.registry import Namespace, Registry


@cache
def default_registry() -> Registry:
    """All namespaces of this package's modules, in the order of module names."""
    found: list[Namespace] = []
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        found.extend(importlib.import_module(f"{__name__}.{info.name}").namespaces)
    return Registry(found)
