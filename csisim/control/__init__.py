"""Live control: the HTTP server beside a driver or a proxy, and the clients for it."""
