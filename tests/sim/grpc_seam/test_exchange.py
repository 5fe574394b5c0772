import asyncio

import pytest

from csisim.sim.grpc_seam import Exchange, SimGrpcServer
from csisim.sim.grpc_seam.exchange import Way, normal
from csisim.sim.run import simulate


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("unix:///run/csi.sock", "unix:/run/csi.sock"),
        ("localhost:50051", "127.0.0.1:50051"),
        ("dns:///localhost:50051", "127.0.0.1:50051"),
    ],
)
def test_an_address_has_one_form(one: str, other: str) -> None:
    assert normal(one) == normal(other)


def test_an_address_belongs_to_one_server_until_it_is_released() -> None:
    async def program() -> None:
        exchange = Exchange()
        first, second = SimGrpcServer(exchange), SimGrpcServer(exchange)
        assert exchange.bind(first, "unix:///csi.sock") == 1
        with pytest.raises(RuntimeError, match=r"Failed to bind to address unix:/csi\.sock"):
            exchange.bind(second, "unix:/csi.sock")
        assert exchange.server("unix:///csi.sock") is None  # it is not started
        await first.start()
        assert exchange.server("unix:///csi.sock") is first
        exchange.release(first)
        assert exchange.server("unix:///csi.sock") is None
        assert exchange.bind(second, "unix:/csi.sock") == 1

    assert simulate(program).error is None


def test_port_0_is_a_free_port() -> None:
    async def program() -> None:
        exchange = Exchange()
        server = SimGrpcServer(exchange)
        port = exchange.bind(server, "127.0.0.1:0")
        assert exchange.bind(server, "127.0.0.1:0") != port
        assert exchange.bind(server, "127.0.0.1:7000") == 7000
        await server.start()
        assert exchange.server(f"localhost:{port}") is server

    assert simulate(program).error is None


def test_messages_of_one_way_keep_their_order_whatever_the_latency() -> None:
    async def program() -> list[int]:
        latencies = iter([0.5, 0.1, 0.3, 0.0])
        way, log = Way(Exchange(lambda: next(latencies))), list[int]()
        for number in range(4):
            way.send(log.append, number)
        await asyncio.sleep(1)
        return log

    assert simulate(program).result == [0, 1, 2, 3]
