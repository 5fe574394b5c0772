from csisim.pb import csi_pb2
from csisim.proxy.methods import csi_methods


def test_all_methods_of_the_protocol_are_known_with_their_types():
    found = csi_methods()

    services = csi_pb2.DESCRIPTOR.services_by_name.values()
    assert len(found) == sum(len(service.methods) for service in services) == 36
    create = found["/csi.v1.Controller/CreateVolume"]
    assert (create.name, create.request, create.response) == (
        "CreateVolume",
        csi_pb2.CreateVolumeRequest,
        csi_pb2.CreateVolumeResponse,
    )


def test_two_methods_answer_with_a_stream():
    assert [method.name for method in csi_methods().values() if method.streaming] == [
        "GetMetadataAllocated",
        "GetMetadataDelta",
    ]


def test_no_method_takes_a_stream():
    services = csi_pb2.DESCRIPTOR.services_by_name.values()
    assert not any(method.client_streaming for service in services for method in service.methods)
