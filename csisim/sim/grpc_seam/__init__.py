"""gRPC without its C core: a channel and a server that generated stubs and servicers take for grpc.aio's.

The C core has a thread of its own and reads the wall clock, so it cannot run in virtual time. Messages are serialised
for real, handlers run in tasks of their own, deadlines are the loop's, and one suite of tests runs on this and on
grpc.aio over sockets (tests/sim/grpc_conformance.py). Calls with a stream of requests are not there.
"""

from csisim.sim.grpc_seam.channel import SimChannel
from csisim.sim.grpc_seam.exchange import Exchange
from csisim.sim.grpc_seam.server import SimGrpcServer

__all__ = ["Exchange", "SimChannel", "SimGrpcServer"]
