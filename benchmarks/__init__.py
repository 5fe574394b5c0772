"""Measures the driver beside a bare gRPC server, and fake_truenas beside a bare websocket server.

See docs/benchmarks.md.
"""

import os

# gRPC's fork handlers warn about every server that is started, and nothing here forks without exec.
# Read when grpc is loaded.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
