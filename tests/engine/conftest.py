"""Stand-ins for images."""

import contextlib

import pytest
from helpers import number_of
from PIL import Image

from orangecontrib.imageanalytics.engine import batches
from orangecontrib.imageanalytics.errors import ImageError


@pytest.fixture
def number_images(monkeypatch):
    """Sources are numbers, each with a colour of its own; what follows is ignored.

    Those that end in 9 are no images.
    """

    @contextlib.contextmanager
    def opened(source, content=None):
        yield source.split()[0].encode(), None

    def decode(content, *_):
        number = number_of(content)
        if number % 10 == 9:
            raise ImageError(f"{number} is not an image")
        return Image.new("RGB", (1, 1), tuple(number.to_bytes(3, "big")))

    monkeypatch.setattr(batches, "opened", opened)
    monkeypatch.setattr(batches, "decode", decode)
