"""Qt without a screen, and settings of widgets kept out of the user's.

To be imported before any widget's module: its class reads the user's settings then.
"""

import os
import tempfile

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from orangewidget.settings import set_widget_settings_dir_components

_settings = tempfile.TemporaryDirectory(prefix="widget-settings-")
set_widget_settings_dir_components(_settings.name, "test")
