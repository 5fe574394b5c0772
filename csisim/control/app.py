"""The control server's app: all endpoints over one `Controlled`, behind the gate."""

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from csisim import __version__
from csisim.control import errors
from csisim.control.acts_api import add_acts
from csisim.control.controlled import Controlled
from csisim.control.gate import Gate
from csisim.control.metrics import Metrics
from csisim.control.observe_api import add_observe
from csisim.control.options import ControlOptions
from csisim.control.page import CONTENT_SECURITY_POLICY, page
from csisim.control.rules_api import add_rules
from csisim.control.stream import Streams
from csisim.control.toxiproxy import add_toxiproxy, at_the_root_too

_ABOUT = "Set faults on a running driver or proxy, see what they did, and heal everything again."


class ControlApp:
    """The app and what it holds on to; must be made in the running loop.

    Args:
        controlled: a driver or a proxy.
        options: bounds, and the token.

    Attributes:
        asgi: to be served.
    """

    def __init__(self, controlled: Controlled, options: ControlOptions) -> None:
        self._streams = Streams(controlled.history, most=options.max_streams, heartbeat_s=options.heartbeat_s)
        self._metrics = Metrics(controlled, self._streams)
        app = FastAPI(
            title="csisim control", version=__version__, description=_ABOUT, docs_url=None, redoc_url=None,
            redirect_slashes=False,
        )  # fmt: skip
        errors.install(app)
        add_rules(app, controlled)
        add_observe(app, controlled, self._streams, self._metrics)
        add_acts(app, controlled)
        add_toxiproxy(app, controlled)

        @app.get("/", include_in_schema=False)
        @app.get("/docs", include_in_schema=False)
        async def docs() -> HTMLResponse:
            return HTMLResponse(page(app.openapi()), headers={"content-security-policy": CONTENT_SECURITY_POLICY})

        self.asgi = Gate(at_the_root_too(app), options)

    def close(self) -> None:
        """End what goes on: streams of events, and counting."""
        self._streams.close()
        self._metrics.close()
