"""Make a table from what is known about images."""

import os
from collections.abc import Iterable, Sequence

import numpy as np
from Orange.data import (
    ContinuousVariable,
    Domain,
    StringVariable,
    Table,
)

from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.import_images.columns import (
    categorical,
    make_columns,
)
from orangecontrib.imageanalytics.import_images.headers import ImgData, ImgDataError

IMG_ATTR_NAME = "image"
PAGE_NAME = "page"
FOLDER_NAME = "folder"
CATEGORY_NAME = "category"


def create_table(
    image_meta: list[ImgData | ImgDataError] | None,
    categories: dict[str, str] | None = None,
    start_dir: str | None = None,
    with_pages: bool = False,
) -> tuple[Table | None, int]:
    """
    A table of images, as `ImportImages` describes it.

    Parameters
    ----------
    image_meta : list of (ImgData or ImgDataError) or None
        What is known about each file.
    categories : dict of str to str, optional
        Category of each folder. A class variable is made if there are several.
    start_dir : str, optional
        The folder to which the paths in the table are relative. Without it, they
        are as in `image_meta`.
    with_pages : bool
        Whether there is a column with the names of pages.

    Returns
    -------
    table : Orange.data.Table or None
        None if `image_meta` is empty.
    n_skipped : int
        Number of `ImgDataError`.
    """
    if not image_meta:
        return None, 0
    images = [image for image in image_meta if image.isvalid]
    classes = None
    if categories and len(set(categories.values())) > 1:
        classes = [categories[os.path.dirname(image.path)] for image in images]
    table = image_table(images, classes, start_dir, with_pages)
    return table, len(image_meta) - len(images)


def image_table(
    images: Sequence[ImgData],
    classes: Sequence[str | None] | None = None,
    start_dir: str | None = None,
    with_pages: bool = False,
    folders: Sequence[str] | None = None,
    columns: Sequence[str] = (),
) -> Table:
    """
    A table with a row for each image.

    Parameters
    ----------
    images : sequence of ImgData
    classes : sequence of (str or None), optional
        Class of each image, None where it is not known.
    start_dir : str, optional
        The folder to which the paths in the table are relative.
    with_pages : bool
        Whether there is a column with the names of pages.
    folders : sequence of str, optional
        The value of each image in the column of folders.
    columns : sequence of str
        As for `ImportImages`.

    Returns
    -------
    Orange.data.Table
    """
    category = None
    y = np.empty((len(images), 0))
    if classes is not None:
        category, indices = categorical(CATEGORY_NAME, classes)
        y = np.array(indices, dtype=float)
    made = _columns(images, start_dir)
    if folders is not None:
        made.append(categorical(FOLDER_NAME, folders))
    if with_pages:
        pages = [image.page for image in images]
        made.append((StringVariable(PAGE_NAME), pages))
    made += make_columns(images, columns)
    metas = np.empty((len(images), len(made)), dtype=object)
    for place, (_, values) in enumerate(made):
        metas[:, place] = values
    domain = Domain([], category, [variable for variable, _ in made])
    return Table.from_numpy(domain, np.empty((len(images), 0)), y, metas)


def _columns(images: Sequence[ImgData], start_dir: str | None) -> list[tuple]:
    """Variables, and their values for each image."""
    image = StringVariable(IMG_ATTR_NAME)
    image.attributes["type"] = "image"
    if start_dir:
        image.attributes["origin"] = start_dir
    paths = [im.path for im in images]
    names = [os.path.splitext(file_name(path))[0] for path in paths]
    columns = [
        (StringVariable("image name"), names),
        (image, _relative(paths, start_dir)),
    ]
    for attribute in ("size", "width", "height"):
        variable = ContinuousVariable(attribute, number_of_decimals=0)
        columns.append((variable, [getattr(im, attribute) for im in images]))
    return columns


def _relative(paths: Iterable[str], start_dir: str | None) -> list[str]:
    start = os.path.join(start_dir, "") if start_dir else ""
    return [path.removeprefix(start).replace(os.sep, "/") for path in paths]
