"""The NAS's yardstick: a websocket server that answers every JSON-RPC call with the same result, and does nothing else.

Usage: python -m benchmarks.nas_bare --listen 127.0.0.1:PORT [--result-bytes N]
"""

import argparse
import asyncio
import signal

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve


def result_of(size_bytes: int) -> bytes:
    """A JSON string of this length, its quotes included."""
    return b'"' + b"x" * (size_bytes - 2) + b'"'


async def run(host: str, port: int, result: bytes) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def answer(connection: ServerConnection) -> None:
        async for text in connection:
            request_id = orjson.loads(text)["id"]
            reply = b'{"jsonrpc":"2.0","result":' + result + b',"id":' + str(request_id).encode() + b"}"
            await connection.send(reply, text=True)

    async with serve(answer, host, port, compression=None, ping_interval=None):
        await stop.wait()


def main() -> None:
    """Read the flags and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, help="HOST:PORT")
    parser.add_argument("--result-bytes", type=int, default=6, help="length of the result in JSON, 2 or more")
    arguments = parser.parse_args()
    host, _, port = arguments.listen.partition(":")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(host, int(port), result_of(arguments.result_bytes)))


if __name__ == "__main__":
    main()
