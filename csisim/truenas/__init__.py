"""The NAS client: JSON-RPC over one websocket, and the typed storage verbs on top."""
