"""Setting up on a machine without pip: the newest wheel of pip is taken from the index, and only with its hash."""

import hashlib
import importlib.util
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
WHEEL = b"the bytes of a wheel"
GOOD = hashlib.sha256(WHEEL).hexdigest()


def load():
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "tools" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def index(monkeypatch):
    """A package index; `index.links` is what its page about pip says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(server.links.encode() if self.path == "/simple/pip/" else WHEEL)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
    yield server
    server.shutdown()
    server.server_close()


def link(version, digest=GOOD, extra=""):
    name = f"pip-{version}-py3-none-any.whl"
    return f'<a href="../../files/{name}#sha256={digest}" {extra}>{name}</a>'


def test_the_newest_release_that_was_not_withdrawn_is_taken(index, tmp_path):
    index.links = "".join([link("9.0"), link("26.1"), link("27.0b1"), link("28.0", extra='data-yanked="broken"')])
    wheel = load().fetch_pip(tmp_path)

    assert wheel.name == "pip-26.1-py3-none-any.whl"
    assert wheel.read_bytes() == WHEEL


def test_other_bytes_than_the_index_states_are_refused(index, tmp_path):
    index.links = link("26.1", digest="0" * 64)

    with pytest.raises(SystemExit, match="does not have the hash"):
        load().fetch_pip(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_index_without_pip_says_what_to_do(index, tmp_path):
    index.links = "<html></html>"

    with pytest.raises(SystemExit, match="PIP_INDEX_URL"):
        load().fetch_pip(tmp_path)
