"""Save the images of a table as files, without deleting any file that exists.

`plan` chooses folders and names, `encoding` makes files of images, `writing` puts them
into their place, and `saving` does all that in threads.
"""

from orangecontrib.imageanalytics.save_images.encoding import (
    FITS,
    FORMATS,
    Encoding,
    Format,
    find_format,
)
from orangecontrib.imageanalytics.save_images.names import (
    MAX_NAME,
    image_name,
    safe_name,
)
from orangecontrib.imageanalytics.save_images.saving import (
    EXISTING,
    Saving,
    count_reasons,
    save_images,
)

__all__ = [
    "EXISTING",
    "FITS",
    "FORMATS",
    "MAX_NAME",
    "Encoding",
    "Format",
    "Saving",
    "count_reasons",
    "find_format",
    "image_name",
    "safe_name",
    "save_images",
]
