"""Results of several attempts are put together."""

import numpy as np
import pytest

from orangecontrib.imageanalytics.distributed import worker
from orangecontrib.imageanalytics.engine.results import Collector


def attempt(sources, n_features=2, **failing):
    """The result of a run in which some images fail for a moment."""
    collector = Collector(sources, {}, with_sizes=True)
    for number, source in enumerate(collector.sources):
        if source in failing:
            collector.fail(number, failing[source], transient=True)
        else:
            collector.measure(number, (3, 4))
            collector.take(number, np.full(n_features, ord(source)), False)
    return collector.embedded(0, "")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["a"], [], "abc"),
        (["a"], ["a"], "-bc"),
        (["a", "b"], ["b"], "a-c"),
        (["a", "b", "c"], [], "abc"),
        (["a", "b", "c"], ["b"], "a-c"),
        (["a", "b", "c"], ["a", "b", "c"], "---"),
    ],
)
def test_another_attempt(first, second, expected):
    sources = ["a", None, "b", "c", "a"]
    embedded = attempt(sources, **dict.fromkeys(first, "busy"))
    later = attempt(first, **dict.fromkeys(second, "still busy"))
    worker._merge(sources, embedded, first, later)
    found = ["-" if v is None else chr(int(v[0])) for v in embedded.per_source()]
    assert found == [expected[0], "-", *expected[1:], expected[0]]
    assert embedded.failures == dict.fromkeys(second, "still busy")
    assert embedded.transient == set(second)
    assert [bool(size.all()) for size in embedded.sizes] == [v != "-" for v in found]
