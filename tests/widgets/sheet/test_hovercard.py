"""The window that shows an image large."""

import pytest
from AnyQt.QtCore import QRect
from AnyQt.QtWidgets import QWidget
from helpers import make_image

from orangecontrib.imageanalytics.widgets.sheet import hovercard
from orangecontrib.imageanalytics.widgets.sheet.hovercard import EDGE, HoverCard
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail, render

PLACE = QRect(100, 100, 50, 50)


@pytest.fixture
def view():
    view = QWidget()
    view.resize(400, 300)
    view.show()
    yield view
    view.deleteLater()


@pytest.fixture
def card(view):
    card = HoverCard(view)
    yield card
    card.shutdown()


@pytest.fixture
def image(tmp_path):
    path = str(tmp_path / "image.png")
    make_image(0, (800, 600)).save(path)
    return path


def test_it_shows_the_large_image(card, image, until):
    card.show_soon(render(image, None, (48, 48)), "text", PLACE)
    assert not card.isVisible()
    until(card.isVisible)
    assert not card.geometry().intersects(PLACE)
    assert (card.image_size().width(), card.image_size().height()) == (EDGE, 240)
    until(lambda: card._thumbnail().box != (48, 48))
    assert card._thumbnail().image.width() >= EDGE
    colors = [card.grab().toImage().pixelColor(x, 60) for x in range(10, 300, 40)]
    assert len({color.rgb() for color in colors}) > 3
    card.leave()
    assert not card.isVisible()


def test_it_waits_for_the_mouse_to_rest(card, image, until, monkeypatch):
    monkeypatch.setattr(hovercard, "DELAY_MS", 0)
    card.show_soon(render(image, None, (48, 48)), "text", PLACE)
    card.leave()
    card._loader.request([image], (8, 8))
    until(lambda: card._loader.idle)
    assert not card.isVisible()


def test_it_goes_with_its_view(card, view, image, until):
    view.hide()
    card.show_soon(render(image, None, (48, 48)), "text", PLACE)
    until(lambda: not card._timer.isActive())
    assert not card.isVisible()


def test_it_goes_with_the_images_and_loads_files_that_have_changed(card, image, until):
    card.show_soon(render(image, None, (48, 48)), "text", PLACE)
    until(card.isVisible)
    until(lambda: card.image_size().height() == 240)
    card.forget()
    assert not card.isVisible()
    make_image(1, (800, 800)).save(image)
    card.show_soon(render(image, None, (48, 48)), "text", PLACE)
    until(lambda: card.isVisible() and card.image_size().height() == EDGE)


def test_it_stays_on_the_screen(card, view, image, until):
    screen = view.screen().availableGeometry()
    place = QRect(screen.right() - 10, screen.bottom() - 10, 20, 20)
    card.show_soon(render(image, None, (48, 48)), "text", place)
    until(card.isVisible)
    assert screen.contains(card.geometry())
    assert not card.geometry().intersects(place)


def test_an_image_that_cannot_be_shown(card, until):
    failed = Thumbnail("/nowhere.png", (48, 48), error="no such file")
    card.show_soon(failed, "<b>Cannot be shown</b>", PLACE)
    until(card.isVisible)
    assert card.image_size().isEmpty()
    assert card.height() < 60
    card.grab()
