from embedding_widget import pick, texts
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.widgets.embedding.fit_combo import FIT_TEXTS, FitCombo
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    look_up,
)


class TestFitCombo(GuiTest):
    def test_trained(self):
        combo = FitCombo()
        assert combo.itemText(0) == "As trained"
        for model, fit in (("squeezenet", "stretch"), ("vgg16", "crop")):
            choice = Choice(model)
            combo.show_network(choice, look_up(choice))
            assert combo.itemText(0) == f"As trained ({fit})"
        combo.show_network(choice, None)
        assert texts(combo) == ["As trained", "Crop", "Stretch", "Pad"]

    def test_every_fit_can_be_chosen(self):
        assert tuple(FIT_TEXTS) == FITS
        combo, heard = FitCombo(), []
        combo.chosen.connect(heard.append)
        for fit in (*FITS, ""):
            pick(combo, fit)
        assert heard == [*FITS, ""]

    def test_set_value_is_silent(self):
        combo, heard = FitCombo(), []
        combo.chosen.connect(heard.append)
        combo.set_value("pad")
        assert combo.text == "Pad"
        assert heard == []
