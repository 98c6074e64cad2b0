"""Functions on image sources, for older scripts that import them from here."""

from orangecontrib.imageanalytics.images.sources import (
    extract_image_path,
    extract_paths,
    filter_image_attributes,
)

__all__ = ["extract_image_path", "extract_paths", "filter_image_attributes"]
