"""Old workflows in other languages: see also tests/test_translations.py."""

import pytest

from orangecontrib.imageanalytics.widgets.owimageembedding import OWImageEmbedding
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages
from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer
from orangecontrib.imageanalytics.widgets.owsaveimages import OWSaveImages


@pytest.mark.parametrize(
    "widget",
    [OWImageEmbedding, OWImageGrid, OWImportImages, OWImageViewer, OWSaveImages],
)
def test_signals_of_the_earlier_addon_are_known_by_their_names(widget):
    signals = [*widget.get_signals("inputs"), *widget.get_signals("outputs")]
    assert signals
    for signal in signals:
        assert signal.name in signal.replaces
