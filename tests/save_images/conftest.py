import pytest


@pytest.fixture
def out(tmp_path):
    """A folder that is not there yet."""
    return str(tmp_path / "out")
