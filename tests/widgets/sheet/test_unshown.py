"""When a widget warns that none of its images can be shown."""

import pytest
from Orange.data import StringVariable
from Orange.widgets.widget import Msg, OWWidget

from orangecontrib.imageanalytics.widgets.sheet.thumbnails import (
    Thumbnail,
    ThumbnailLoader,
    to_qimage,
)
from orangecontrib.imageanalytics.widgets.sheet.unshown import UnshownWarning


class Widget(OWWidget):
    name = "Any"

    class Warning(OWWidget.Warning):
        no_images_shown = Msg("{}, {}, {}")


@pytest.fixture
def warning():
    widget = Widget()
    loader = ThumbnailLoader(widget)
    unshown = UnshownWarning(loader, widget.Warning)
    unshown.expect(StringVariable("image"), ["a.png", None, "b.png"])
    yield unshown, widget.Warning.no_images_shown
    loader.close()
    widget.onDeleteWidget()
    widget.deleteLater()


def failed(source):
    return Thumbnail(source, (1, 1), error="no such file")


def loaded(source):
    from helpers import make_image

    return Thumbnail(source, (1, 1), to_qimage(make_image(0)), (64, 48))


def test_all_have_failed(warning):
    unshown, message = warning
    unshown.take([failed("a.png")])
    assert str(message) == "no such file, a.png, image"
    # One that can be shown is enough, whenever it comes.
    unshown.take([loaded("b.png")])
    assert not message.is_shown()
    unshown.take([failed("a.png")])
    assert not message.is_shown()


def test_images_of_other_data(warning):
    unshown, message = warning
    unshown.take([failed("elsewhere.png")])
    assert not message.is_shown()
    unshown.take([failed("a.png")])
    unshown.expect(None, [])
    assert not message.is_shown()
    unshown.take([failed("a.png")])
    assert not message.is_shown()
