"""Read an image in the size in which it is shown, with no more work than needed."""

from __future__ import annotations

from PIL import Image

from orangecontrib.imageanalytics.images.decode import content_header, decode
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, Intensity
from orangecontrib.imageanalytics.images.lazy_image import Size
from orangecontrib.imageanalytics.images.sources import opened


def fitted_size(size: Size, box: Size) -> Size:
    """
    Size of an image that is made as large as fits into a box.

    Parameters
    ----------
    size, box : (int, int)
        Width and height of the image, and of the box.

    Returns
    -------
    (int, int)
        Width and height, at least 1.
    """
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def read_fitted(
    source: str,
    edge: int,
    content: bytes | None = None,
    intensity: Intensity = AUTOMATIC,
) -> Image.Image:
    """
    Read an image and shrink it to fit into a square.

    Parameters
    ----------
    source : str
        Path or data URL; or any URL, if its content is given.
    edge : int
        Side of the square, in pixels. Smaller images keep their size.
    content : bytes, optional
        Content of the file, if it was read already.
    intensity : "auto", "full" or (float, float)
        As for `decode`.

    Returns
    -------
    PIL.Image.Image
        Image in mode RGB, 8 bits a channel.

    Raises
    ------
    ImageError
        It cannot be read or decoded.
    """
    with opened(source, content) as (readable, page):
        header = content_header(readable, page)
        wanted = header.width, header.height
        if max(wanted) > edge:
            wanted = fitted_size(wanted, (edge, edge))
        image = decode(readable, wanted, page, intensity)
    if image.size != wanted and max(image.size) > edge:
        image = image.resize(wanted, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image
