"""What a driver says that it is and can do: nobody asks it for anything else."""

from dataclasses import dataclass

import grpc

from csisim.co.callers import Caller, CallFailed, Role
from csisim.pb import csi_pb2 as csi

Plugin = csi.PluginCapability.Service
Expansion = csi.PluginCapability.VolumeExpansion
Controller = csi.ControllerServiceCapability.RPC
NodeRpc = csi.NodeServiceCapability.RPC


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """Capabilities by their numbers.

    Attributes:
        name: as in GetPluginInfo.
        plugin: values of PluginCapability.Service.
        expansion: values of PluginCapability.VolumeExpansion.
        controller: values of ControllerServiceCapability.RPC.
        node: values of NodeServiceCapability.RPC; empty where no node was asked.
    """

    name: str
    plugin: frozenset[int] = frozenset()
    expansion: frozenset[int] = frozenset()
    controller: frozenset[int] = frozenset()
    node: frozenset[int] = frozenset()


class NotReady(Exception):
    """The driver is healthy, and still starting."""


async def ask(caller: Caller, role: Role) -> DriverInfo:
    """Identity and controller capabilities, as every sidecar asks for them when it starts.

    Raises:
        CallFailed: it did not answer.
        NotReady: it answered that it is still starting.
    """
    identity = caller.identity
    probe = await caller.once(role, identity.Probe, csi.ProbeRequest(), "driver")
    if probe.HasField("ready") and not probe.ready.value:
        raise NotReady("the driver says that it is not ready")
    info = await caller.once(role, identity.GetPluginInfo, csi.GetPluginInfoRequest(), "driver")
    plugin = await caller.once(role, identity.GetPluginCapabilities, csi.GetPluginCapabilitiesRequest(), "driver")
    services = frozenset(int(each.service.type) for each in plugin.capabilities if each.HasField("service"))
    controller: frozenset[int] = frozenset()
    if Plugin.CONTROLLER_SERVICE in services:
        request = csi.ControllerGetCapabilitiesRequest()
        found = await caller.once(role, caller.controller.ControllerGetCapabilities, request, "driver")
        controller = frozenset(int(each.rpc.type) for each in found.capabilities)
    return DriverInfo(
        info.name,
        services,
        frozenset(int(each.volume_expansion.type) for each in plugin.capabilities if each.HasField("volume_expansion")),
        controller,
    )


async def ask_node(caller: Caller, role: Role) -> DriverInfo:
    """Node capabilities, as kubelet asks for them.

    Raises:
        CallFailed: it did not answer.
    """
    info = await caller.once(role, caller.identity.GetPluginInfo, csi.GetPluginInfoRequest(), "driver")
    try:
        found = await caller.once(role, caller.node.NodeGetCapabilities, csi.NodeGetCapabilitiesRequest(), "driver")
    except CallFailed as error:
        if error.code is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        return DriverInfo(info.name)
    return DriverInfo(info.name, node=frozenset(int(each.rpc.type) for each in found.capabilities))
