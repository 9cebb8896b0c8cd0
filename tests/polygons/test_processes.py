""""""

import os

import pytest

from rooftop.polygons import processes
from rooftop.polygons.processes import cores, parallel_map


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(processes, "cores", lambda: 2)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 232, 233, 700])
def test_results_come_in_order_whatever_their_number(count):
    offset = 7
    assert [*parallel_map(lambda item: item + offset, range(count))] == [*range(7, 7 + count)]


@pytest.mark.usefixtures("two_cores")
def test_many_items_go_to_other_processes_and_few_do_not():
    assert {*parallel_map(lambda _: os.getpid(), range(200))} == {os.getpid()}
    others = {*parallel_map(lambda _: os.getpid(), range(600))} - {os.getpid()}
    assert 1 <= len(others) <= 2


@pytest.mark.usefixtures("two_cores")
def test_items_are_taken_only_some_batches_ahead():
    taken = []

    def items():
        for item in range(5000):
            taken.append(item)
            yield item

    for done in parallel_map(str, items()):
        assert len(taken) - int(done) <= 32 * 6


@pytest.mark.usefixtures("two_cores")
def test_an_error_comes_through_and_a_reader_may_stop_early():
    with pytest.raises(ZeroDivisionError):
        [*parallel_map(lambda item: 1 // (item - 400), range(600))]
    some = parallel_map(str, range(2000))
    assert [next(some) for _ in range(300)] == [str(item) for item in range(300)]
    some.close()


def test_cores_are_those_that_a_launcher_leaves(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    assert cores() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert cores() >= 1
