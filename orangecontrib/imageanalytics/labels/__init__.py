"""Label images by hand, with the help of a quick model, in scripts and in Label Images.

`session` has the classes, the labels and undo; `quick_model` proposes classes from
vectors, and `orders` says which images to show next; `teacher` does both for a table.
`record` is what is kept: `autosave` and `keeper` write it to the user's data folder,
`csv_files` to files of the user's own. It finds images by their `content` if they were
moved. `tables` makes tables of the result.
"""

from orangecontrib.imageanalytics.labels.autosave import Autosave, autosaves
from orangecontrib.imageanalytics.labels.csv_files import (
    LabelFileError,
    Row,
    read_labels,
    write_labels,
)
from orangecontrib.imageanalytics.labels.keeper import Keeper, Memory
from orangecontrib.imageanalytics.labels.orders import ORDERS, Orders
from orangecontrib.imageanalytics.labels.quick_model import (
    Points,
    Proposals,
    QuickModel,
    no_proposals,
    reduced,
)
from orangecontrib.imageanalytics.labels.record import (
    LabeledImage,
    Record,
    RecordError,
    find,
    labeled_images,
)
from orangecontrib.imageanalytics.labels.session import (
    NO_CLASS,
    LabelClass,
    LabelSession,
)
from orangecontrib.imageanalytics.labels.tables import (
    all_table,
    labeled_table,
    shown_classes,
)
from orangecontrib.imageanalytics.labels.teacher import Lesson, Teacher

__all__ = [
    "NO_CLASS",
    "ORDERS",
    "Autosave",
    "Keeper",
    "LabelClass",
    "LabelFileError",
    "LabelSession",
    "LabeledImage",
    "Lesson",
    "Memory",
    "Orders",
    "Points",
    "Proposals",
    "QuickModel",
    "Record",
    "RecordError",
    "Row",
    "Teacher",
    "all_table",
    "autosaves",
    "find",
    "labeled_images",
    "labeled_table",
    "no_proposals",
    "read_labels",
    "reduced",
    "shown_classes",
    "write_labels",
]
