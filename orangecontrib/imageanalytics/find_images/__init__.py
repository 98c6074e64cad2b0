"""Find images by words and by example, and sort them into classes without training.

`choice` finds the network and the vectors that a table has, `vectors` gives those of
images, and `query` compares them to words and examples, `classes` to names of classes.
`columns` keeps the result in tables. `finding` does all this with one call.
"""

from orangecontrib.imageanalytics.find_images.choice import choose_spec
from orangecontrib.imageanalytics.find_images.classes import (
    OTHER,
    TEMPLATES,
    WordClasses,
)
from orangecontrib.imageanalytics.find_images.columns import (
    append_classes,
    append_scores,
)
from orangecontrib.imageanalytics.find_images.finding import find_images, sort_into
from orangecontrib.imageanalytics.find_images.query import (
    Description,
    Query,
    as_descriptions,
    best_first,
)
from orangecontrib.imageanalytics.find_images.vectors import (
    ExamplesError,
    ImageVectors,
    LazyEmbedder,
)
from orangecontrib.imageanalytics.networks.registry import word_networks

__all__ = [
    "OTHER",
    "TEMPLATES",
    "Description",
    "ExamplesError",
    "ImageVectors",
    "LazyEmbedder",
    "Query",
    "WordClasses",
    "append_classes",
    "append_scores",
    "as_descriptions",
    "best_first",
    "choose_spec",
    "find_images",
    "sort_into",
    "word_networks",
]
