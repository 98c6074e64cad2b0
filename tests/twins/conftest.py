"""Images with altered copies."""

import pytest
from twin_images import save_copies


@pytest.fixture
def copies(tmp_path):
    """Two photos, three copies of the first, and another photo; their paths."""
    return save_copies(tmp_path / "twins")
