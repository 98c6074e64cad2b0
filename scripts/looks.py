"""Take screenshots of all windows, empty, with images and with errors, to look at.

python scripts/looks.py --images FOLDER OUT

Each is taken in light and dark colors, on a screen of 200 %, and with texts as long as
they get in German. With `--language Deutsch`, they have the texts of that translation.
Needs Linux with Xvfb.
"""

import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QWidget
from longer_texts import LongerTexts
from looks_of_embedding import take_image_embedding
from looks_of_explaining import take_explain_images
from looks_of_finding import take_find_images
from looks_of_loading import take_load_vectors
from screenshots import (
    PACKAGE,
    PHOTOS,
    ROOT,
    by_tsne,
    clean_settings,
    discard,
    light_palette,
    made,
    start,
)

#: Mode: size of its screen in pixels, and what is set for it.
MODES = {
    "light": ("1600x1000", {}),
    "dark": ("1600x1000", {}),
    "scaled": ("2880x1800", {"QT_SCALE_FACTOR": "2"}),
    "long": ("1600x1000", {}),
}
WAIT_MS = 120_000
SETTLE_MS = 400


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", help="folder to write into")
    parser.add_argument("--images", default=PHOTOS, help="folder of images")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--language", default="", help="as in the settings of Orange")
    parser.add_argument("--only", default="", help="of names that begin like this")
    parser.add_argument("--take", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.take:
        take_all(options)
        # Threads of widgets must not delay the end.
        os._exit(0)
    with tempfile.TemporaryDirectory() as cache:
        path = build_translated(cache) if options.language else ROOT
        for mode in options.modes:
            run(mode, options, cache, path)


def build_translated(folder: str) -> str:
    """Build the package in all languages, as it is installed, and tell where it is."""
    from trubar import translate

    translate(
        "msgs.jaml",
        source_dir=PACKAGE,
        dest_dir=os.path.join(folder, "orangecontrib", "imageanalytics"),
        config_file=os.path.join(ROOT, "i18n", "trubar-config.yaml"),
    )
    return folder


def run(mode: str, options, cache: str, path: str):
    """Take all screenshots of a mode, in a process with a screen of its own."""
    screen, settings = MODES[mode]
    environment = os.environ | settings
    environment["PYTHONPATH"] = os.pathsep.join(
        [path, environment.get("PYTHONPATH", "")]
    )
    environment["ORANGE_IMAGEANALYTICS_CACHE_DIR"] = cache
    environment["QT_QPA_PLATFORM"] = "xcb"
    command = ["xvfb-run", "-a", "-s", f"-screen 0 {screen}x24", sys.executable]
    arguments = [__file__, options.out, "--images", options.images, "--take", mode]
    more = ["--only", options.only, "--language", options.language]
    subprocess.run([*command, *arguments, *more], env=environment, check=True)


def take_all(options):
    """Take the screenshots of one mode."""
    with tempfile.TemporaryDirectory() as settings:
        _application = start(palette(options.take), options.language, settings)
        clean_settings(settings)
        take_windows(options)


def take_windows(options):
    """Take the screenshots of all windows."""
    with tempfile.TemporaryDirectory() as folder:
        looks = Looks(options)
        looks.take_import_images(folder)
        take_image_embedding(looks)
        take_load_vectors(looks, folder)
        looks.take_image_viewer()
        looks.take_image_grid()
        looks.take_image_map()
        take_find_images(looks, folder)
        looks.take_label_images()
        looks.take_twins(folder)
        take_explain_images(looks)
        looks.take_save_images(folder)
        looks.take_other_network(folder)


def palette(mode: str):
    """The colors as Orange sets them."""
    from orangecanvas import styles

    return styles.breeze_dark() if mode == "dark" else light_palette()


class Looks(LongerTexts):
    """Shows each window in each of its states, and takes its screenshots."""

    def __init__(self, options):
        from Orange.data import Table

        super().__init__()
        self.mode, self.out, self.only = options.take, options.out, options.only
        self.folder = os.path.abspath(options.images)
        self.images, self.vectors = self._data()
        self.no_images = Table("iris")

    def states(self, data):
        """Data that leaves something to be desired, by what it is without."""
        empty = _moved(data, "")
        with empty.unlocked():
            names = [meta.name for meta in empty.domain.metas]
            empty.metas[:, names.index("image")] = ""
        return {
            "empty": None,
            "no-column": self.no_images,
            "no-images": empty,
            "lost": _moved(data, os.path.join(ROOT, "moved")),
            "data": data,
        }

    def _data(self):
        from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
        from orangecontrib.imageanalytics.import_images import ImportImages

        images, _ = ImportImages()(self.folder)
        with ImageEmbedder(model="squeezenet") as embedder:
            vectors, *_ = embedder(images, col="image")
        return images, vectors

    def wanted(self, name: str) -> bool:
        """Whether one or more screenshots whose names begin so are asked for."""
        return name.startswith(self.only) or self.only.startswith(name)

    def shoot(self, window: QWidget, name: str, is_ready=lambda: True):
        """Write a screenshot when everything is as it will stay."""
        if not name.startswith(self.only):
            return
        if self.mode == "long":  # what is measured when it is shown
            self._translate(window)
        window.show()
        if not QTest.qWaitFor(is_ready, WAIT_MS):
            raise TimeoutError(name)
        if self.mode == "long":
            self._translate(window)
        QTest.qWait(SETTLE_MS)
        if self.mode == "long":  # what has come meanwhile
            self._translate(window)
        QTest.qWait(SETTLE_MS)
        # What has become visible is loaded from now on only.
        if not QTest.qWaitFor(is_ready, WAIT_MS):
            raise TimeoutError(name)
        folder = os.path.join(self.out, self.mode)
        os.makedirs(folder, exist_ok=True)
        window.grab().save(os.path.join(folder, f"{name}.png"))

    # Windows ------------------------------------------------------------------------

    def take_import_images(self, empty: str):
        """Take Import Images."""
        from Orange.widgets.utils.filedialogs import RecentPath  # noqa: TID251

        from orangecontrib.imageanalytics.import_images.watch import Changes
        from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages

        if not self.wanted("import"):
            return

        def shoot(name, *folders, **settings):
            paths = [RecentPath.create(folder, []) for folder in folders]
            settings |= {"recent_paths": paths, "n_folders": len(paths)}
            widget = made(OWImportImages, settings)
            self.shoot(widget, f"import-{name}", lambda: widget.task is None)
            discard(widget)

        def shoot_watch():
            path = [RecentPath.create(self.folder, [])]
            settings = {"recent_paths": path, "n_folders": 1, "watch": "show"}
            widget = made(OWImportImages, settings)
            QTest.qWaitFor(lambda: widget.task is None, WAIT_MS)
            widget._show_changes(Changes(widget._listing, {}, 12, 3, 1))
            self.shoot(widget, "import-watch")
            discard(widget)

        def shoot_open_columns():
            widget = made(OWImportImages, {"columns": ["date taken", "location"]})
            widget.show()
            widget.columns_combo.showPopup()
            popup = widget.columns_combo.view().window()
            self.shoot(popup, "import-columns-list")
            widget.columns_combo.hidePopup()
            discard(widget)

        one = os.path.join(self.folder, sorted(os.listdir(self.folder))[0])
        shoot("empty")
        shoot("data", self.folder)
        shoot("several", self.folder, PHOTOS)
        shoot("names", one, category_from="name")
        shoot("pattern-error", one, category_from="name", name_pattern="{classs}_*")
        shoot("no-images", empty)
        shoot("error", os.path.join(empty, "photos that were moved"))
        shoot("columns", self.folder, columns=["date taken", "camera", "brightness"])
        shoot_watch()
        shoot_open_columns()

    def take_image_viewer(self):
        """Take Image Viewer, with the windows that it opens."""
        from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer

        if not self.wanted("viewer"):
            return
        for name, data in self.states(self.images).items():
            widget = made(OWImageViewer, {})
            widget.set_data(data)
            self.shoot(widget, f"viewer-{name}", is_loaded(widget))
            discard(widget)
        widget = made(OWImageViewer, {})
        domain = self.images.domain
        widget.set_data(self.images)
        widget.color_attr = widget.group_attr = domain.class_var
        widget._show_in_order()
        widget.view.select_rows([1, 3, 4])
        self.shoot(widget, "viewer-groups", is_loaded(widget))
        self._take_preview(widget, "viewer")
        discard(widget)
        self._take_many_labels(made(OWImageViewer, {}))

    def _take_many_labels(self, widget):
        domain = self.images.domain
        widget.set_data(self.images)
        widget.labels_combo.choose([*domain.metas[:1], domain["width"], domain["size"]])
        widget.labels_combo.changed.emit()
        widget.group_attr, widget.color_attr = domain.class_var, domain["width"]
        widget.collapsed_groups = {domain.class_var.values[0]}
        widget._show_in_order()
        self.shoot(widget, "viewer-collapsed", is_loaded(widget))
        widget.view.select_rows(range(4))
        widget.compare.open()
        self.shoot(widget.compare, "viewer-compare-four", lambda: widget.compare.idle)
        discard(widget)

    def _take_preview(self, widget, name: str):
        widget.view.setCurrentIndex(widget.view.model().index(3, 0))
        widget.preview.open()
        self.shoot(widget.preview, f"{name}-preview", lambda: widget.preview.idle)
        widget.view.select_rows([1, 3, 4])
        widget.compare.open()
        self.shoot(widget.compare, f"{name}-compare", lambda: widget.compare.idle)
        menu = widget.image_actions.menu(widget.view.currentIndex())
        self.shoot(menu, f"{name}-menu")
        menu.close()
        widget._on_hovered(2)
        card = widget.hover_card
        self.shoot(card, f"{name}-hover", card.isVisible)

    def take_image_grid(self):
        """Take Image Grid."""
        from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

        if not self.wanted("grid"):
            return
        many = self.vectors[np.resize(np.arange(len(self.vectors)), 1000)]
        states = self.states(self.vectors)
        states |= {"no-vectors": self.images, "small": many}
        for name, data in states.items():
            widget = made(OWImageGrid, {})
            widget.set_data(data)
            widget.handleNewSignals()

            def ready(widget=widget):
                return widget.task is None and widget.loader.idle

            widget.show()
            QTest.qWaitFor(ready, WAIT_MS)
            if name in ("data", "small"):
                QTest.qWaitFor(has_images(widget), WAIT_MS)
                widget.view.select_rows([3, 4, 20])
            self.shoot(widget, f"grid-{name}", ready)
            discard(widget)

    def take_image_map(self):
        """Take Image Map."""
        from Orange.data import Domain

        from orangecontrib.imageanalytics.widgets.owimagemap import OWImageMap

        if not self.wanted("map"):
            return
        states = self.states(by_tsne(self.vectors)) | {"sizes": self.images}
        domain = self.images.domain
        only_image = Domain((), domain.class_vars, [domain["image"]])
        states["no-numbers"] = self.images.transform(only_image)
        for name, data in states.items():
            widget = made(OWImageMap, {})
            widget.set_data(data)
            widget.handleNewSignals()
            self.shoot(widget, f"map-{name}", is_loaded(widget))
            if name == "data":
                widget.graph.view_box.scaleBy((0.3, 0.3))
                self.shoot(widget, "map-zoomed", is_loaded(widget))
            discard(widget)

    def take_label_images(self):
        """Take Label Images."""
        from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages

        if not self.wanted("label"):
            return
        states = self.states(self.vectors) | {"no-vectors": self.images}
        for name, data in states.items():
            widget = made(OWLabelImages, {})
            widget.set_images(data)
            widget.handleNewSignals()

            def ready(widget=widget):
                idle = widget.task is None and not widget.store.busy
                return idle and not widget._round_due and widget.loader.idle

            self.shoot(widget, f"label-{name}", ready)
            if name == "data":
                self._label(widget, ready)
            discard(widget)

    def _label(self, widget, ready):
        classes = self.vectors.domain.class_var.values
        for name in classes[:8]:
            widget.add_class(name)
        for row in range(0, len(self.vectors), max(1, len(self.vectors) // 40)):
            kind = int(self.vectors.Y[row])
            if kind < 8:
                widget.session.label([row], kind)
        widget.session.skip([1])
        widget.label_sheet.add_recent(range(6))
        widget.begin_round()
        self.shoot(widget, "label-labelled", ready)
        widget.offer_bar.offer(57, 1.7e9)
        widget.Warning.autosave_damaged("/home/ana/labels/12ab.json.damaged-1")
        self.shoot(widget, "label-offer", ready)

    def take_twins(self, folder: str):
        """Take Twins, with smaller and mirrored copies of some images."""
        from orangecontrib.imageanalytics.import_images import ImportImages
        from orangecontrib.imageanalytics.widgets.owtwins import OWTwins

        if not self.wanted("twins"):
            return
        copies = os.path.join(folder, "copies")
        save_copies(self.images, copies)
        images, _ = ImportImages()([self.folder, copies])
        states = self.states(self.images) | {"data": images}
        states |= {"loose": self.vectors, "no-twins": images[:8]}
        for name, data in states.items():
            settings = {"distance": 250} if name == "loose" else {}
            widget = made(OWTwins, settings)
            widget.set_images(data)
            widget.show()
            QTest.qWaitFor(lambda widget=widget: widget.task is None, WAIT_MS)
            self.shoot(widget, f"twins-{name}", is_loaded(widget))
            if name == "data":
                widget.view.setCurrentIndex(widget.view.model().index(1, 0))
                widget.compare_button.click()
                idle = lambda widget=widget: widget.compare.idle  # noqa: E731
                self.shoot(widget.compare, "twins-compare", idle)
            discard(widget)

    def take_save_images(self, folder: str):
        """Take Save Images."""
        from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages

        if not self.wanted("save"):
            return

        def shoot(name, data, save=False, **settings):
            widget = made(OWSaveImages, settings)
            widget.dataset(data)
            if save:
                widget.save_file()
            self.shoot(widget, f"save-{name}", lambda: widget.task is None)
            if widget.question is not None:
                self.shoot(widget.question, f"save-{name}-question")
            discard(widget)

        saved = os.path.join(folder, "saved")
        shoot("empty", None)
        shoot("no-column", self.no_images)
        shoot("no-folder", self.images)
        shoot("data", self.images, dirname=saved, use_scale=True, format="jpeg")
        shoot("done", self.images, save=True, dirname=saved)
        shoot("exist", self.images, save=True, dirname=saved)
        lost = self.states(self.images)["lost"]
        shoot("failed", lost, save=True, dirname=f"{saved} too")
        shoot("error", self.images, save=True, dirname=__file__)

    def take_other_network(self, folder: str):
        """Take the dialog for other networks than those that are listed."""
        from orangecontrib.imageanalytics.widgets.embedding import other_network_dialog

        if not self.wanted("other"):
            return
        dialog = other_network_dialog.OtherNetworkDialog(folder)
        self.shoot(dialog, "other-names", lambda: not dialog.by_name.busy)
        dialog.tabs.setCurrentIndex(1)
        self.shoot(dialog, "other-file")
        page = dialog.from_file
        for ending in ("onnx", "pt2", "safetensors"):
            path = os.path.join(folder, f"mushrooms.{ending}")
            with open(path, "wb") as file:
                file.write(b"not a network")
            page.set_file(path)
            self.shoot(dialog, f"other-{ending}", lambda: page.form.children())
        page.architecture_form.name_edit.setText("torchvision:resnet18")
        page.take()
        self.shoot(dialog, "other-error", lambda: not page.is_busy)
        dialog.reject()


def save_copies(data, folder: str, every: int = 9):
    """Save smaller and mirrored copies of some images of a table."""
    from PIL import Image, ImageOps

    os.makedirs(folder)
    origin = data.domain["image"].attributes["origin"]
    for number, path in enumerate(data.get_column("image")[::every]):
        with Image.open(os.path.join(origin, path)) as image:
            image = image.convert("RGB")
        small = image.resize((image.width * 2 // 3, image.height * 2 // 3))
        small.save(os.path.join(folder, f"{number:03} smaller.jpg"))
        mirrored = ImageOps.mirror(image)
        mirrored.save(os.path.join(folder, f"{number:03} mirrored.jpg"), quality=60)


def _moved(data, origin: str):
    """The same table of images, as if these were in another folder."""
    from Orange.data import Domain

    domain = data.domain
    column = domain["image"].copy()
    column.attributes = column.attributes | {"origin": origin}
    metas = [column if meta == column else meta for meta in domain.metas]
    return data.transform(Domain(domain.attributes, domain.class_vars, metas)).copy()


def has_images(widget):
    """A function that tells whether the images have been laid out."""
    return lambda: widget.view.model().rowCount() > 0


def is_loaded(widget):
    """A function that tells whether all images in sight have been loaded."""
    return lambda: widget.loader.idle


if __name__ == "__main__":
    main()
