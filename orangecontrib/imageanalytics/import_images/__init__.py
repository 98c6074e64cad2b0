"""Import folders of images as a table that lists them."""

from orangecontrib.imageanalytics.import_images.columns import COLUMNS
from orangecontrib.imageanalytics.import_images.folders import LEFT_OUT, scan
from orangecontrib.imageanalytics.import_images.headers import (
    ImgData,
    ImgDataError,
    image_meta_data,
    page_meta_data,
)
from orangecontrib.imageanalytics.import_images.importer import (
    CATEGORIES,
    PAGES,
    ImportImages,
)
from orangecontrib.imageanalytics.import_images.name_patterns import (
    NamePattern,
    PatternError,
)
from orangecontrib.imageanalytics.import_images.table import (
    IMG_ATTR_NAME,
    PAGE_NAME,
    create_table,
)

__all__ = [
    "CATEGORIES",
    "COLUMNS",
    "IMG_ATTR_NAME",
    "LEFT_OUT",
    "PAGES",
    "PAGE_NAME",
    "ImgData",
    "ImgDataError",
    "ImportImages",
    "NamePattern",
    "PatternError",
    "create_table",
    "image_meta_data",
    "page_meta_data",
    "scan",
]
