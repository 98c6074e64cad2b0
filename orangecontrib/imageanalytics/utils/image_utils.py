"""The place from which older scripts import the functions on image sources."""

from orangecontrib.imageanalytics.images.sources import (
    extract_image_path,
    extract_paths,
    filter_image_attributes,
)

__all__ = ["extract_image_path", "extract_paths", "filter_image_attributes"]
