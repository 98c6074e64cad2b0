"""Files of vectors that many tests use."""

import pytest
from vector_parts import write_part


@pytest.fixture
def folder(tmp_path):
    """Three files, of 30 images in six groups."""
    for part in range(3):
        numbers = range(10 * part, 10 * part + 10)
        write_part(tmp_path / "vectors" / f"part-{part}.parquet", numbers)
    return tmp_path / "vectors"
