"""Take the screenshots of the help anew: most from the first tutorial as it runs.

xvfb-run -s "-screen 0 1600x1000x24" python scripts/screenshots.py
"""

import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points

from AnyQt.QtCore import QSettings, Qt
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QMainWindow

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(ROOT, "orangecontrib", "imageanalytics")
IMAGES = os.path.join(PACKAGE, "help", "images")
PHOTOS = os.path.join(PACKAGE, "tutorials", "photos")
WORKFLOW = os.path.join(PACKAGE, "tutorials", "1-group-photos.ows")
OURS = "orangecontrib.imageanalytics.widgets"

LIGHT = {
    QPalette.Window: "#f0f0f0",
    QPalette.WindowText: "#000000",
    QPalette.Base: "#ffffff",
    QPalette.AlternateBase: "#f7f7f7",
    QPalette.Text: "#000000",
    QPalette.Button: "#f0f0f0",
    QPalette.ButtonText: "#000000",
    QPalette.Highlight: "#308cc6",
    QPalette.HighlightedText: "#ffffff",
}


def main():
    _application = start(light_palette())
    with tempfile.TemporaryDirectory() as folder:
        # No vectors from before are to be seen.
        os.environ["ORANGE_IMAGEANALYTICS_CACHE_DIR"] = folder
        clean_settings(folder)
        take_widgets(run_workflow(registry()))
        take_microscopy(folder)


def start(palette: QPalette, language="", folder="") -> QApplication:
    """An application in these colors, which takes the package from this checkout.

    For a language, a built package must be on the path: a checkout is in English. The
    setting of the language is written into the folder. The user's stays as it is.
    """
    if language:
        set_language(language, folder)
    else:
        sys.path.insert(0, ROOT)
    application = QApplication(["screenshots"])
    application.setStyle("Fusion")
    application.setPalette(palette)
    # As Orange does, for its plots.
    import pyqtgraph

    pyqtgraph.setConfigOption("background", palette.color(QPalette.Base).name())
    pyqtgraph.setConfigOption("foreground", palette.color(QPalette.WindowText).name())
    dark = palette.color(QPalette.Base).value() < 127
    application.setProperty("darkMode", dark)
    return application


def set_language(name: str, folder: str):
    """Set the language of Orange, which modules read when they are imported."""
    QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, folder)
    scope = QSettings.IniFormat, QSettings.UserScope
    settings = QSettings(*scope, "biolab.si", "Orange")
    settings.setValue("application/language", name)
    settings.sync()


def light_palette() -> QPalette:
    """The colors of the help."""
    palette = QPalette()
    for role, color in LIGHT.items():
        palette.setColor(role, QColor(color))
    for role in (QPalette.WindowText, QPalette.Text, QPalette.ButtonText):
        palette.setColor(QPalette.Disabled, role, QColor("#a0a0a0"))
    return palette


def clean_settings(folder: str):
    """Keep settings in a folder, so that the user's are not to be seen."""
    from orangewidget.settings import set_widget_settings_dir_components

    set_widget_settings_dir_components(folder, "screenshots")


def registry():
    """All of Orange's widgets, and ours even if they are not installed."""
    from orangecanvas.registry import WidgetRegistry
    from orangewidget.workflow.discovery import WidgetDiscovery

    found = WidgetRegistry()
    discovery = WidgetDiscovery(found)
    points = entry_points(group="orange.widgets")
    discovery.run(p for p in points if p.value.startswith("Orange."))
    discovery.process_category_package(OURS)
    return found


def run_workflow(widgets, path=WORKFLOW):
    """A tutorial, when its last widget, a viewer, has data."""
    from orangecanvas.scheme.readwrite import scheme_load
    from orangewidget.workflow.widgetsscheme import WidgetsScheme

    scheme = WidgetsScheme()
    scheme.widget_manager.set_creation_policy(scheme.widget_manager.Immediate)
    scheme.set_runtime_env("basedir", os.path.dirname(path))
    with open(path, "rb") as file:
        scheme_load(scheme, file, registry=widgets)
    scheme.signal_manager.start()
    viewer = scheme.widget_for_node(scheme.nodes[-1])
    assert QTest.qWaitFor(lambda: viewer.data is not None, 120_000)
    return scheme


def take_widgets(scheme):
    """Write the screenshots of widgets."""
    widgets = {node.title: scheme.widget_for_node(node) for node in scheme.nodes}
    take(widgets["Import Images"], "import-images")
    take(widgets["Image Embedding"], "image-embedding")
    viewer = widgets["Image Viewer"]
    viewer.imageSize = 130
    viewer.view.set_scale(130)
    titles = list(viewer.data.get_column("image name"))
    chosen = [titles.index(name) for name in ("cat", "cat-ears", "cat-eyes")]
    viewer.view.select_rows(chosen)
    take(viewer, "image-viewer", (900, 560))
    take(widgets["Hierarchical Clustering"], "tree", (900, 560))
    take_grid(viewer.data)
    take_map(viewer.data)
    take_find_images(widgets["Image Embedding"].data)
    take_label_images()
    take_twins()
    take_explain_images()
    take_save_images(widgets["Image Embedding"].data)
    take_load_vectors(viewer.data)


def take_grid(data):
    """Write the screenshot of a grid of all photos, the cats selected."""
    from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

    grid = OWImageGrid()
    grid.show()
    grid.resize(900, 640)
    grid.set_data(data)
    assert QTest.qWaitFor(lambda: grid.grid is not None, 60_000)
    kinds = data.get_column("category")[grid._shown]
    cats = data.domain["category"].values.index("cats")
    grid.view.select((kinds == cats).nonzero()[0], Qt.NoModifier)
    take(grid, "image-grid", (900, 640))
    grid.onDeleteWidget()


def take_map(data):
    """Write the screenshot of a map of all photos by t-SNE, the cats selected."""
    from orangecontrib.imageanalytics.widgets.owimagemap import OWImageMap

    data = by_tsne(data, perplexity=5)
    widget = OWImageMap()
    widget.show()
    widget.resize(900, 640)
    widget.image_size = 64
    widget.graph.images.places.set_edge(64)
    widget.set_data(data)
    widget.handleNewSignals()
    value = data.domain["category"].values.index("cats")
    widget.legend.clicked.emit(value, Qt.NoModifier)
    take(widget, "image-map", (900, 640))
    widget.onDeleteWidget()


def take_find_images(data):
    """Write the screenshot of photos like two of the cats."""
    from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages

    widget = made(OWFindImages, {"imageSize": 130, "count": 12})
    widget.show()
    widget.set_images(data)
    widget.handleNewSignals()
    assert QTest.qWaitFor(lambda: widget.finder is not None, 60_000)
    titles = list(data.get_column("image name"))
    widget.more_like([titles.index(name) for name in ("cat", "cat-ears")])
    assert QTest.qWaitFor(lambda: not widget.searcher.busy, 60_000)
    widget.view.select_rows([])
    take(widget, "find-images", (1000, 640))
    widget.onDeleteWidget()


LABELS = os.path.join(PACKAGE, "tutorials", "10-label-photos.ows")


def take_label_images():
    """Write the screenshot of photos of which some have been labelled."""
    scheme = run_workflow(registry(), LABELS)
    (widget,) = (
        scheme.widget_for_node(node)
        for node in scheme.nodes
        if node.title == "Label Images"
    )
    kinds = widget.data.get_column("category")
    names = widget.data.domain["category"].values
    for name in ("coffee", "people", "rockets"):
        widget.add_class(name)

    def ready():
        return widget.task is None and not widget._round_due

    for _ in range(6):
        assert QTest.qWaitFor(ready, 60_000)
        (image,) = widget.label_sheet.selected()
        name = names[int(kinds[widget._rows[image]])]
        widget.give_class(widget.session.number_of(name))
    assert QTest.qWaitFor(ready, 60_000)
    take(widget, "label-images", (960, 640))


def take_twins():
    """Write the screenshot of photos with copies."""
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.widgets.owtwins import OWTwins

    folder = os.path.join(PACKAGE, "tutorials", "coin-toss")
    data, _ = ImportImages()(folder)
    widget = OWTwins()
    widget.show()
    widget.set_images(data)
    assert QTest.qWaitFor(lambda: widget.twins is not None, 60_000)
    take(widget, "twins", (900, 600))
    widget.onDeleteWidget()


def by_tsne(data, **options):
    """Images with vectors, with their places by t-SNE instead of these."""
    from Orange.data import ContinuousVariable, Domain
    from Orange.projection import TSNE

    domain = data.domain
    vectors = [a for a in domain.attributes if re.fullmatch(r"n\d+", a.name)]
    places = TSNE(random_state=0, **options)(data.transform(Domain(vectors)))
    axes = ContinuousVariable("t-SNE-x"), ContinuousVariable("t-SNE-y")
    data = data.transform(Domain(axes, domain.class_vars, domain.metas))
    with data.unlocked(data.X):
        data.X = places.embedding.X
    return data


def take_explain_images():
    """Write the screenshot of a model that looks at the background."""
    from Orange.classification import LogisticRegressionLearner

    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.widgets.owexplainimages import OWExplainImages

    folder = os.path.join(os.path.dirname(WORKFLOW), "trap")
    known, _ = ImportImages()(os.path.join(folder, "known"))
    swapped, _ = ImportImages()(os.path.join(folder, "swapped"))
    with ImageEmbedder() as embedder:
        embedded, _, _ = embedder(known)
    widget = OWExplainImages()
    widget.show()
    widget.resize(1000, 600)
    widget.set_model(LogisticRegressionLearner()(embedded))
    widget.set_images(swapped)
    widget.handleNewSignals()
    assert QTest.qWaitFor(lambda: widget.task is None, 120_000)
    take(widget, "explain-images", (1000, 600))
    widget.onDeleteWidget()


def take_save_images(data):
    """Write the screenshot of a widget that the first tutorial is without."""
    from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages

    settings = {"dirname": "/home/ana/sorted", "format": "jpeg", "use_scale": True}
    widget = made(OWSaveImages, settings)
    widget.dataset(data)
    take(widget, "save-images")


def take_load_vectors(data):
    """Write the screenshot of a sample of the photos of the first tutorial."""
    from Orange.data import Domain
    from Orange.widgets.utils.filedialogs import RecentPath  # noqa: TID251

    from orangecontrib.imageanalytics.output_file import OutputFile
    from orangecontrib.imageanalytics.widgets.owloadvectors import OWLoadVectors

    domain = data.domain
    vectors = [a for a in domain.attributes if re.fullmatch(r"n\d+", a.name)]
    data = data.transform(Domain(vectors, domain.class_vars, domain.metas))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "photos.parquet")
        OutputFile(path).write(data)
        settings = {"recent_paths": [RecentPath.create(path, [])]}
        settings |= {"rows": "sample", "sample_size": 20}
        widget = OWLoadVectors.__new__(OWLoadVectors, stored_settings=settings)
        widget.__init__()
        assert QTest.qWaitFor(lambda: widget.task is None, 60_000)
        widget.contents.show_images_folder("/home/ana/photos")
        take(widget, "load-vectors")
        widget.onDeleteWidget()


def take_microscopy(folder):
    """Write the screenshot of a stack, composed, and of its planes and channels."""
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer

    script = os.path.join(ROOT, "scripts", "microscopy_stack.py")
    cells = os.path.join(folder, "cells")
    subprocess.run([sys.executable, script, cells], check=True)
    data, _ = ImportImages(pages="all")(cells)
    data = data[:11]
    with data.unlocked():  # the first field as a whole, too
        data.metas[1:11] = data.metas[:10].copy()
        data[0, "image"] = "field 1.ome.tif"
        data[0, "page"] = "First"
    viewer = OWImageViewer()
    viewer.set_data(data)
    viewer.imageSize = 150
    viewer.view.set_scale(150)
    viewer.labels_combo.choose([data.domain["page"]])
    viewer.labels_combo.changed.emit()
    take(viewer, "microscopy", (900, 500))
    viewer.onDeleteWidget()


def made(kind, settings: dict) -> QMainWindow:
    """A widget as a workflow with these settings makes it."""
    settings = {"__version__": kind.settings_version} | settings
    widget = kind.__new__(kind, stored_settings=settings)
    widget.__init__()
    return widget


def discard(widget):
    """Close a widget for good."""
    widget.hide()
    widget.onDeleteWidget()
    widget.deleteLater()
    QApplication.sendPostedEvents()


def take(widget, name, size=None):
    """Write an image of a window."""
    widget.show()
    if size:
        widget.resize(*size)
    QTest.qWait(1500)
    save(widget.grab().toImage(), name)
    widget.hide()


def save(image, name):
    """Write a PNG, as small as Pillow makes it."""
    from PIL import Image

    os.makedirs(IMAGES, exist_ok=True)
    path = os.path.join(IMAGES, f"{name}.png")
    image.save(path)
    with Image.open(path) as reopened:
        small = reopened.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path}: {os.path.getsize(path) // 1000} kB")


if __name__ == "__main__":
    main()
    # Threads of widgets must not delay the end.
    os._exit(0)
