import numpy as np
import pytest

from orangecontrib.imageanalytics.distributed.sorted_names import SortedNames


@pytest.mark.parametrize("n", [0, 1, 9, 10, 11, 95])
def test_sorted_names(n):
    numbers = np.random.default_rng(0).integers(0, 50, n)
    given = [f"{chr(0x10FFFF - 99 * i)}{'ž' * (i % 3)}{i}" for i in numbers]
    with SortedNames(10) as found:
        for name in given:
            found.add(name)
        assert list(found) == sorted(given)
        assert list(found) == sorted(given)
        found.add("")
        assert next(iter(found)) == ""
