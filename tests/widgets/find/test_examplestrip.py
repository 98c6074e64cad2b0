import os

import pytest
from AnyQt.QtCore import QMimeData, QUrl
from AnyQt.QtWidgets import QFileDialog

from orangecontrib.imageanalytics.widgets.find.examplestrip import (
    NO_EXAMPLES,
    ExampleStrip,
    dropped_files,
)


@pytest.fixture
def strip():
    strip = ExampleStrip()
    strip.gone = []
    strip.removed.connect(strip.gone.append)
    strip.show()
    yield strip
    strip.close_loader()
    strip.close()


def test_images_are_shown(strip, photos, until):
    assert strip.view.look.message == NO_EXAMPLES
    strip.set_examples(photos[:3])
    assert strip.view.look.message == ""
    until(lambda: all(strip.loader.get(path) for path in photos[:3]))
    assert all(strip.loader.get(path).image is not None for path in photos[:3])
    strip.set_examples([])
    assert strip.view.look.message == NO_EXAMPLES


def test_size_stays(strip, photos):
    strip.set_examples(photos)
    before = strip.view.scale()
    strip.view.zoom_by(3)
    strip.view.zoom_by(-3)
    assert strip.view.scale() == before


def test_remove_what_is_selected_or_all(strip, photos):
    strip.set_examples(photos[:3])
    strip.remove_button.click()
    strip.view.select_rows([2, 0])
    strip.remove_button.click()
    assert strip.gone == [[0, 1, 2], [0, 2]]


def test_fixed_examples_stay(strip, photos):
    strip.set_examples(photos[:1], photos[1:3])
    strip.view.select_rows([1])
    assert not strip.remove_button.isEnabled()
    strip.remove()
    assert strip.gone == []
    index = strip.view.model().index(1)
    (action,) = strip.menu(index).actions()
    assert not action.isEnabled()
    assert "From the input" in index.data()
    strip.view.select_rows([0, 1])
    strip.remove_button.click()
    assert strip.gone == [[0]]


def test_choosing_files(strip, photos, monkeypatch):
    chosen, asked = [], []

    def ask(*arguments):
        asked.append(arguments)
        return photos[:2], ""

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", ask)
    strip.files_chosen.connect(chosen.append)
    strip.files_button.click()
    strip.files_button.click()
    assert chosen == [photos[:2]] * 2
    assert "*.jpg" in asked[0][-1]
    # It begins where the last files were.
    assert asked[1][2] == os.path.dirname(photos[0])


def test_what_is_dropped(tmp_path):
    def data(*urls):
        mime = QMimeData()
        mime.setUrls([QUrl(url) for url in urls])
        return mime

    path = str(tmp_path / "a b.png")
    url = QUrl.fromLocalFile(path).toString()
    assert dropped_files(data(url)) == [path]
    assert dropped_files(data(url, "https://example.com/a.png")) == []
    assert dropped_files(QMimeData()) == []
