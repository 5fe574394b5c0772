"""gRPC's generic types with their parameters filled in, for annotations."""

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:  # generic in the stubs only
    Context = grpc.aio.ServicerContext
    Handler = grpc.RpcMethodHandler
