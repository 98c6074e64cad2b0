"""Find twins: images that are in the data more than once.

Twins are the same file, or the same image in another size, format or brightness, or
mirrored. `find_twins` gives the group of each row of a table. `TwinFinder` does the
same and tries other thresholds without reading the images again. `with_groups` and
`without_twins` make tables of the result.
"""

from orangecontrib.imageanalytics.twins.finding import (
    METHODS,
    MOST_THRESHOLD,
    TwinFinder,
    Twins,
    find_twins,
)
from orangecontrib.imageanalytics.twins.folds import twin_folds
from orangecontrib.imageanalytics.twins.tables import with_groups, without_twins
from orangecontrib.imageanalytics.twins.vectors import NoVectorsError

__all__ = [
    "METHODS",
    "MOST_THRESHOLD",
    "NoVectorsError",
    "TwinFinder",
    "Twins",
    "find_twins",
    "twin_folds",
    "with_groups",
    "without_twins",
]
