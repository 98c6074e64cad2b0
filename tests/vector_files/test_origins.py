import pytest

from orangecontrib.imageanalytics.vector_files.origins import find_origin


@pytest.fixture
def folder(tmp_path):
    """Photos of 2024 beside a folder for vectors, which has one of 2023."""
    for path in ("data/photos/2024", "data/vectors/new/2023"):
        (tmp_path / path).mkdir(parents=True)
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("/home/me/photos/2024", "photos/2024"),
        (r"C:\Users\me\photos\2024", "photos/2024"),
        ("/home/me/photos", "photos"),
        ("/home/me/2023", "vectors/new/2023"),
    ],
)
def test_folders_that_were_moved_with_the_vectors(folder, origin, expected):
    vectors = folder / "vectors" / "new"
    assert find_origin(origin, str(vectors)) == str(folder / expected)


def test_what_stays(folder):
    for origin in (
        "",
        "http://a.org/photos",
        "s3://photos",
        str(folder / "photos"),
        "/home/me/gone",
    ):
        assert find_origin(origin, str(folder / "vectors")) == origin
