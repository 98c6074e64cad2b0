"""Widgets for Orange's canvas: reading, embedding and viewing images."""

import os

from orangecontrib.imageanalytics import embedding_columns
from orangecontrib.imageanalytics.widgets.utils.transform_progress import (
    watch_embedding,
)

NAME = "Image Analytics"
DESCRIPTION = "Read, embed and view images."
ICON = "icons/Category-symbolic.svg"
BACKGROUND = "#F4EFA0"
PRIORITY = 1000

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Orange takes what is in braces for names that it knows, such as {DEVELOP_ROOT}.
_HELP = os.path.join(_PACKAGE, "help", "index.html").translate(
    {ord("{"): "{{", ord("}"): "}}"}
)
WIDGET_HELP_PATH = ((_HELP, None),)

# Here, since Orange imports this package at its start, whichever widgets are used.
embedding_columns.watch = watch_embedding
