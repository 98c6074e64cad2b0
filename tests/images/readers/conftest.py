import pytest

from orangecontrib.imageanalytics.images.decode import read_pages


@pytest.fixture
def pages_of(tmp_path):
    """A function that gives the pages of a TIFF's content, as `read_pages`."""

    def pages_of_(content):
        path = tmp_path / "stack.tif"
        path.write_bytes(content)
        return read_pages(str(path))

    return pages_of_
