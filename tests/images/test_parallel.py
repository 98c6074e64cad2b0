"""Reading many images in threads."""

import pytest
from helpers import wait_until

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.parallel import (
    AHEAD,
    MOST_THREADS,
    read_each,
)

SOURCES = [f"{number}.png" for number in range(50)]


def test_results_are_in_order():
    told = []
    results = read_each(SOURCES, lambda s, _: s[:-4], 4, lambda *n: told.append(n))
    assert list(results) == [str(number) for number in range(50)]
    assert told[0] == (0, 50)
    assert told[-1] == (50, 50)


def test_every_failure_is_a_reason():
    errors = {
        "0.png": ImageError("damaged"),
        "1.png": MemoryError(),
        "2.png": KeyError("of a library"),
    }

    def read(source, _content):
        raise errors[source]

    results = list(read_each(list(errors), read, 2))
    assert all(isinstance(result, ImageError) for result in results)
    assert [str(result) for result in results] == [
        "damaged",
        "not enough memory",
        "unexpected error (KeyError)",
    ]


def test_an_exception_of_the_callback_stops_it():
    read = []

    def stop(n_done, _n_all):
        if n_done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read_each(SOURCES, lambda s, _: read.append(s), 1, stop))
    assert len(read) < len(SOURCES)


def test_only_a_few_wait():
    started = []

    def read(source, _content):
        started.append(source)
        return source

    results = read_each(SOURCES, read, 2)
    next(results)
    wait_until(lambda: len(started) >= 2)
    assert len(started) <= AHEAD * MOST_THREADS
    results.close()


def test_downloads():
    def read(_source, content):
        return content

    (result,) = read_each(["http://127.0.0.1:1/a.png"], read, 1)
    assert isinstance(result, ImageError)
