"""The package as users get it: installed, and started by Python and by Orange.

`make test-lowest` runs these tests with the wheel in place of the source.
"""

import os
import subprocess
import sys

from AnyQt.QtTest import QTest
from Orange.canvas.config import Config
from Orange.data import Table
from Orange.widgets.tests.base import WidgetTest
from orangecanvas.registry import WidgetRegistry
from orangecanvas.utils import name_lookup

from orangecontrib.imageanalytics import tutorials, widgets

PHOTOS = os.path.join(os.path.dirname(tutorials.__file__), "new-photos")


def test_command(tmp_path):
    table = tmp_path / "photos.tab"
    command = [sys.executable, "-m", "orangecontrib.imageanalytics", "embed"]
    options = [PHOTOS, "-o", table, "--device", "cpu"]
    subprocess.run([*command, *options], check=True, cwd=tmp_path)
    embedded = Table.from_file(str(table))
    assert embedded.X.shape == (len(os.listdir(PHOTOS)), 1280)
    names = embedded.get_column("image name")
    assert {f"{name}.jpg" for name in names} == set(os.listdir(PHOTOS))


class TestWidgets(WidgetTest):
    def test_orange_finds_and_opens_them(self):
        points = [
            point
            for point in Config.widgets_entry_points()
            if point.dist.name == "Orange3-ImageAnalytics"
        ]
        assert points
        registry = WidgetRegistry()
        Config.widget_discovery(registry).run(iter(points))
        (category,) = registry.categories()
        found = registry.widgets(category)
        folder = os.path.dirname(widgets.__file__)
        modules = [name for name in os.listdir(folder) if name.startswith("ow")]
        assert len(found) == len(modules)
        for description in found:
            with self.subTest(description.name):
                widget = self.create_widget(name_lookup(description.qualified_name))
                widget.show()
                assert QTest.qWaitForWindowExposed(widget)
                assert widget.windowTitle() == description.name
                widget.onDeleteWidget()
                widget.hide()
