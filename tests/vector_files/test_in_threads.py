import threading
import time

import pytest
from helpers import wait_until

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.vector_files.in_threads import in_threads


def test_results_are_in_order():
    def slower_first(number):
        time.sleep((10 - number) / 1000)
        return number**2

    results = in_threads(slower_first, range(10), 3, lambda: None)
    assert list(results) == [(number, number**2) for number in range(10)]


def test_exceptions_are_results():
    (_, one), (_, error), (_, other) = in_threads(
        lambda x: 1 / x, [1, 0, 2], 2, lambda: None
    )
    assert (one, other) == (1, 0.5) and isinstance(error, ZeroDivisionError)


def test_only_a_few_are_under_way():
    begun = []
    results = in_threads(begun.append, range(1000), 2, lambda: None)
    next(results)
    assert len(begun) <= 4
    results.close()


def test_stopping_does_not_wait():
    begun, go_on, ended = (threading.Event() for _ in range(3))

    def work(_number):
        begun.set()
        go_on.wait(60)
        ended.set()

    def poll():
        if begun.is_set():
            raise Cancelled

    with pytest.raises(Cancelled):
        list(in_threads(work, range(3), 1, poll))
    assert not ended.is_set()
    go_on.set()
    wait_until(ended.is_set)
