from io import BytesIO

import pytest
from helpers import make_image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.fitted import fitted_size, read_fitted


@pytest.mark.parametrize(
    "size, box, expected",
    [
        ((200, 100), (50, 50), (50, 25)),
        ((100, 200), (50, 80), (40, 80)),
        ((10, 5), (50, 50), (50, 25)),
        ((10000, 1), (50, 50), (50, 1)),
    ],
)
def test_fitted_size(size, box, expected):
    assert fitted_size(size, box) == expected


@pytest.mark.parametrize(
    "size, fitted", [((400, 200), (100, 50)), ((30, 300), (10, 100)), ((9, 7), (9, 7))]
)
@pytest.mark.parametrize("name", ["image.png", "image.jpg"])
def test_fits_into_the_square(tmp_path, name, size, fitted):
    path = tmp_path / name
    make_image(0, size).save(path)
    assert read_fitted(str(path), 100).size == fitted


def test_takes_content_that_was_read_already():
    stream = BytesIO()
    make_image(0, (400, 200)).save(stream, "PNG")
    image = read_fitted("http://no.where/image.png", 100, stream.getvalue())
    assert (image.size, image.mode) == ((100, 50), "RGB")


def test_drawings_are_drawn_in_the_size(tmp_path):
    path = tmp_path / "a.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="200">'
        '<rect width="400" height="200" fill="red"/></svg>'
    )
    assert read_fitted(str(path), 100).size == (100, 50)


def test_errors_are_image_errors(tmp_path):
    with pytest.raises(ImageError, match="file not found"):
        read_fitted(str(tmp_path / "none.png"), 100)
