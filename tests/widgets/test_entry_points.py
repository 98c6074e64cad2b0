"""What Orange looks for in an add-on, and how long it has to wait for it."""

import os
import subprocess
import sys
from importlib.metadata import EntryPoint

from helpers import read_toml

from orangecontrib.imageanalytics import widgets

ROOT = os.path.join(os.path.dirname(__file__), os.pardir, os.pardir)


def entry_points():
    project = read_toml(os.path.join(ROOT, "pyproject.toml"))["project"]
    return [
        EntryPoint(name, value, group)
        for group, points in project["entry-points"].items()
        for name, value in points.items()
    ]


def test_entry_points_lead_somewhere():
    points = entry_points()
    groups = {point.group for point in points}
    assert {"orange.widgets", "orange3.addon", "orange.canvas.help"} <= groups
    assert {"orange.canvas.drophandler", "orange.widgets.tutorials"} <= groups
    for point in points:
        point.load()


def registry():
    from orangecanvas.registry import WidgetRegistry
    from orangewidget.workflow.discovery import WidgetDiscovery

    registry = WidgetRegistry()
    WidgetDiscovery(registry).process_category_package(widgets.__name__)
    return registry


def descriptions():
    return [d for _, found in registry().registry for d in found]


def test_category():
    (category,) = registry().categories()
    assert category.name == "Image Analytics"
    folder = os.path.dirname(widgets.__file__)
    assert os.path.isfile(os.path.join(folder, category.icon))
    found = descriptions()
    names = {"Import Images", "Image Embedding", "Image Viewer"}
    assert names <= {description.name for description in found}
    for description in found:
        assert os.path.isfile(os.path.join(folder, description.icon)), description.name
        assert description.keywords
        assert description.description


def test_help():
    """F1 leads to the page of each widget, wherever the package lies."""
    from AnyQt.QtCore import QCoreApplication
    from orangecanvas.help.manager import create_html_inventory_provider

    assert QCoreApplication.instance() or QCoreApplication([])
    (point,) = (p for p in entry_points() if p.group == "orange.canvas.help")
    provider = create_html_inventory_provider(point)
    for description in descriptions():
        page = provider.search(description).toLocalFile()
        assert os.path.isfile(page), description.name


def test_nothing_heavy_is_imported():
    """What Orange does at its start: import all the widgets' modules."""
    code = (
        "import pkgutil, importlib, sys\n"
        "from orangecontrib.imageanalytics import widgets\n"
        "for m in pkgutil.iter_modules(widgets.__path__, widgets.__name__ + '.'):\n"
        "    importlib.import_module(m.name)\n"
        "print(*sys.modules)"
    )
    path = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"}
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    heavy = {"torch", "torchvision", "pillow_heif", "resvg_py"}
    assert "orangecontrib.imageanalytics.widgets.owimageembedding" in loaded
    assert not heavy & set(loaded)
