"""A faithful fake of the TrueNAS middleware: JSON-RPC 2.0 over websocket, state in SQLite.

    nas = Nas(NasConfig(pools=(Pool("tank", 1 << 40),), api_key="1-..."), rng=random.Random(7), clock=clock)
    server = await nas.serve("127.0.0.1", 0)
    ...                                    # clients connect to server.url
    await server.close()
    nas.close()

Faults come from outside, through `intercept` (see `Intercept`).
"""

from fake_truenas.config import NasConfig, Pool
from fake_truenas.nas import NO_REPLY, Call, Intercept, Nas, Proceed, Shaped

__all__ = ["NO_REPLY", "Call", "Intercept", "Nas", "NasConfig", "Pool", "Proceed", "Shaped"]
