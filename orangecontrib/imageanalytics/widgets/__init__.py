"""Widgets for Orange's canvas: reading, embedding and viewing images."""

import os

from orangecontrib.imageanalytics import embedding_columns
from orangecontrib.imageanalytics.i18n import offer_languages
from orangecontrib.imageanalytics.widgets.utils.transform_progress import (
    watch_embedding,
)

NAME = "Image Analytics"
DESCRIPTION = "Read, embed and view images."
ICON = "icons/Category-symbolic.svg"
BACKGROUND = "#F4EFA0"
PRIORITY = 1000

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Orange replaces names in braces, such as {DEVELOP_ROOT}.
_HELP = os.path.join(_PACKAGE, "help", "index.html").translate(
    {ord("{"): "{{", ord("}"): "}}"}
)
WIDGET_HELP_PATH = ((_HELP, None),)

# Done here, since Orange always imports this package when it starts.
offer_languages()
embedding_columns.watch = watch_embedding
