"""Find images by words and by example, and sort them into classes without training.

`query` says what is searched for, `vectors` and `texts` give vectors of images and
words, `columns` keeps the result in tables; `finding` does all this with one call.
"""

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
from orangecontrib.imageanalytics.find_images.texts import (
    class_vectors,
    knows_words,
    text_vectors,
    word_networks,
)
from orangecontrib.imageanalytics.find_images.vectors import (
    ImageVectors,
    LazyEmbedder,
    choose_spec,
)

__all__ = [
    "OTHER",
    "TEMPLATES",
    "Description",
    "ImageVectors",
    "LazyEmbedder",
    "Query",
    "WordClasses",
    "append_classes",
    "append_scores",
    "as_descriptions",
    "best_first",
    "choose_spec",
    "class_vectors",
    "find_images",
    "knows_words",
    "sort_into",
    "text_vectors",
    "word_networks",
]
