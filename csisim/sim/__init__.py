"""Deterministic simulation, and simulated host parts; knows neither CSI nor TrueNAS.

| | |
|---|---|
| time and schedules | `run` (one run), `loop`, `strategies`, `exhaustive`, `tape`, `streams`, `trace`, `lanes` |
| network | `network` (hosts, partitions), `direction`, `transport`, `listener` |
| gRPC | `grpc_seam` |
| hosts | `host`, `mounts`, `mount_table`, `devices`, `backend`, `disk`, `files`, `contents`, `slots` |
"""
