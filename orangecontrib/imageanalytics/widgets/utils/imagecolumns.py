"""Columns that a widget proposes: those of images, and one that names them."""

from Orange.data import DiscreteVariable, StringVariable, Table, Variable

from orangecontrib.imageanalytics.images.sources import image_columns

#: What widgets say of data without such a column, and what to do then.
NO_IMAGE_COLUMN = (
    "The data has no column with images.\n\n"
    "Use data from Import Images, or a table with a column of file names or web "
    "addresses: a text or categorical one, among the meta attributes."
)
#: Of a table without rows.
NO_ROWS = "The table has no rows."
#: And of a column without any.
EMPTY_COLUMN = (
    "Column '{}' is empty.\n\nChoose another column, or connect a table that says "
    "where images are."
)


def likely_image_columns(data: Table) -> list[Variable]:
    """Columns of images; unmarked categories are rarely that if there is text."""
    columns = image_columns(data)
    if not any(isinstance(variable, StringVariable) for variable in columns):
        return sorted(columns, key=lambda variable: not _is_marked(variable))
    return [
        variable
        for variable in columns
        if not isinstance(variable, DiscreteVariable) or _is_marked(variable)
    ]


def proposed_label(data: Table, images: Variable) -> Variable:
    """The class, a text that is not images, or else the column of images."""
    if data.domain.class_var is not None:
        return data.domain.class_var
    texts = [var for var in data.domain.metas if isinstance(var, StringVariable)]
    texts.sort(key=lambda var: (var is images) + _is_marked(var))
    return texts[0] if texts else images


def _is_marked(variable: Variable) -> bool:
    return str(variable.attributes.get("type", "")).lower() == "image"
