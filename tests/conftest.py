"""Puts the checkout on the import path, so that tests can share `tests.support`, and loads its plugin."""

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

pytest_plugins = ["tests.support.plugin"]
