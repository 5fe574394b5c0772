from benchmarks import pure_loop


def test_the_loop_does_all_of_its_work_and_takes_time() -> None:
    assert pure_loop.seconds() > 0
