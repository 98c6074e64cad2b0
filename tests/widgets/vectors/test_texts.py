import pytest

from orangecontrib.imageanalytics.widgets.vectors.texts import size


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (4200, "4.2 kB"),
        (98_000_000, "98 MB"),
        (4.2e9, "4.2 GB"),
        (51.4e9, "51 GB"),
        (1.2e12, "1,200 GB"),
    ],
)
def test_size(n_bytes, text):
    assert size(n_bytes) == text
