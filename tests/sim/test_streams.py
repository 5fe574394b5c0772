from csisim.sim.streams import Streams


def test_a_stream_depends_on_the_seed_and_its_name_alone() -> None:
    one, two = Streams(5), Streams(5)
    two.stream("sched").random()
    # The number says that it is the same on every machine and in every process.
    assert one.stream("net").getrandbits(64) == two.stream("net").getrandbits(64) == 11710515195954269218
    assert one.stream("net").getrandbits(64) != Streams(6).stream("net").getrandbits(64)
    assert Streams("5").stream("x").random() == Streams(5).stream("x").random()


def test_a_stream_goes_on_where_it_was() -> None:
    streams = Streams(1)
    assert streams.stream("a") is streams.stream("a")
    assert streams.stream("a").random() != streams.stream("a").random()
