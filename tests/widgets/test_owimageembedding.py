import os
from unittest.mock import patch

import numpy as np
import pytest
import torch
from embedding_widget import EmbeddingTest, pick
from helpers import PATIENCE, make_image, make_network_file
from image_files import save_stack
from Orange.distance import Cosine
from Orange.widgets.data.owneighbors import OWNeighbors
from Orange.widgets.data.owtransform import OWTransform
from Orange.widgets.evaluate.owpredictions import OWPredictions
from Orange.widgets.evaluate.owtestandscore import OWTestAndScore
from Orange.widgets.model.owloadmodel import OWLoadModel
from Orange.widgets.model.owlogisticregression import OWLogisticRegression
from Orange.widgets.model.owsavemodel import OWSaveModel
from Orange.widgets.unsupervised import owdistances
from Orange.widgets.unsupervised.owdistances import OWDistances
from Orange.widgets.unsupervised.owhierarchicalclustering import (
    OWHierarchicalClustering,
)
from Orange.widgets.unsupervised.owtsne import OWtSNE
from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog


class TestEmbedding(EmbeddingTest):
    def test_embeddings(self):
        embedded, skipped = self.embed(self.data)
        assert embedded.X.shape == (6, 1280)
        assert np.isfinite(embedded.X).all()
        assert skipped is None
        assert "6 images embedded" in self.status
        assert self.device.startswith("in use: ")
        assert not self.widget.cancel_button.isEnabled()
        assert not self.widget.Error.active

    def test_skipped(self):
        with open(self.photos[1], "wb") as file:
            file.write(b"broken")
        os.remove(self.photos[2])
        with self.data.unlocked():
            self.data.metas[3, 1] = ""
        embedded, skipped = self.embed(self.data)
        assert len(embedded) == 3
        assert len(skipped) == 3
        assert str(self.widget.Warning.images_skipped) == "3 images were skipped."
        self.widget.status.label.linkActivated.emit("#skipped")
        (dialog,) = self.windows(SkippedDialog)
        assert list(dialog.model) == [
            [self.photos[1], "not an image"],
            [self.photos[2], "file not found"],
            ["(missing)", "no image is named"],
        ]
        dialog.close()
        report = self.report()
        assert "file not found" in report
        assert "3 skipped" in report
        assert "#skipped" not in report

    def test_one_skipped(self):
        os.remove(self.photos[0])
        self.embed(self.data)
        assert str(self.widget.Warning.images_skipped) == "1 image was skipped."

    def test_all_skipped(self):
        for path in self.photos:
            os.remove(path)
        embedded, skipped = self.embed(self.data)
        assert embedded is None
        assert len(skipped) == 6
        assert self.status.startswith("No image was embedded")

    @pytest.mark.skipif(
        torch.cuda.is_available() or torch.backends.mps.is_available(),
        reason="there is a GPU",
    )
    def test_no_gpu(self):
        self.choose_device("gpu")
        embedded, _ = self.embed(self.data)
        assert len(embedded) == 6
        assert "The CPU is used." in str(self.widget.Warning.no_gpu)
        assert self.device == "in use: CPU"
        self.choose_device("cpu")
        self.finish()
        assert not self.widget.Warning.no_gpu.is_shown()

    def test_known_vectors_need_no_network(self):
        embedded, _ = self.embed(self.data)
        with patch(
            "orangecontrib.imageanalytics.engine.openvino_runner.OpenVinoRunner.load",
            side_effect=AssertionError,
        ):
            self.embed(None)
            again, _ = self.embed(self.data)
        np.testing.assert_array_equal(again.X, embedded.X)
        assert not self.widget.Error.active


class TestOptions(EmbeddingTest):
    def open_layers(self):
        combo = self.control("Layer")
        combo.showPopup()
        self.until(lambda: "Looking up the stages…" not in self.offered("Layer"))
        combo.hidePopup()

    def test_stages_are_looked_up_when_the_list_is_opened(self):
        default = ["Default (before the classifier)", "Class scores"]
        assert self.offered("Layer") == default
        self.open_layers()
        assert self.offered("Layer") == [
            *default,
            "Stage 1 of 5 (early)",
            "Stage 2 of 5 (early)",
            "Stage 3 of 5 (middle)",
            "Stage 4 of 5 (middle)",
            "Stage 5 of 5 (late)",
        ]
        combo = self.control("Layer")
        assert combo.itemData(2) == "features.1"
        assert combo.currentIndex() == 0

    def test_stage(self):
        self.embed(self.data)
        self.open_layers()
        self.choose("Layer", "features.3")
        self.finish()
        embedded = self.get_output("Embeddings")
        with ImageEmbedder(layer="features.3") as embedder:
            expected = embedder(self.data)[0]
        np.testing.assert_array_equal(embedded.X, expected.X)
        assert embedded.domain == expected.domain
        assert f"{embedded.X.shape[1]} features" in self.description
        assert "Stage 2 of 5" in self.report()
        self.opened(**self.packed())
        assert self.shown("Layer") == "Stage features.3"
        self.embed(self.data)
        assert self.shown("Layer") == "Stage 2 of 5 (early)"
        # Of another network it would be another stage, or none.
        self.choose("Network", "squeezenet")
        assert self.widget.layer == ""
        assert self.offered("Layer") == [
            "Default (class scores)",
            "Before the classifier",
            "Class scores",
        ]
        assert self.control("Layer").currentIndex() == 0

    def test_class_scores_have_names(self):
        self.embed(self.data)
        self.choose("Layer", "logits")
        self.finish()
        names = [v.name for v in self.get_output("Embeddings").domain.attributes]
        assert len(names) == 1000
        assert "tabby" in names

    def test_layer_that_is_no_more(self):
        self.opened(layer="features.99")
        assert self.shown("Layer") == "Stage features.99"
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 1280)
        warning = str(self.widget.Warning.layer_replaced)
        assert "EfficientNet-Lite0 has no layer 'features.99'" in warning
        assert self.widget.layer == ""
        assert self.control("Layer").currentIndex() == 0
        self.choose("Layer", "logits")
        assert not self.widget.Warning.layer_replaced.is_shown()

    def test_fit(self):
        assert self.offered("Fit") == ["As trained (crop)", "Crop", "Stretch", "Pad"]
        cropped, _ = self.embed(self.data)
        self.choose("Fit", "stretch")
        self.finish()
        stretched = self.get_output("Embeddings")
        assert np.abs(stretched.X - cropped.X).max() > 0.1
        self.choose("Fit", "crop")  # as trained, from the cache
        self.finish()
        np.testing.assert_array_equal(self.get_output("Embeddings").X, cropped.X)
        self.choose("Network", "squeezenet")
        assert self.offered("Fit")[0] == "As trained (stretch)"
        assert self.widget.fit == "crop"

    def test_intensity(self):
        folder = os.path.dirname(os.path.dirname(self.photos[0]))
        save_stack(os.path.join(folder, "cells.tif"), n_planes=2)
        data, _ = ImportImages(pages="all")(folder)
        automatic, _ = self.embed(data)
        pick(self.control("Intensity").combo, "")
        self.finish()
        ranged = self.get_output("Embeddings")
        assert self.widget.intensity == "0:4095"
        assert ranged.domain["image"].attributes["intensity"] == "0:4095"
        assert "intensity" not in automatic.domain["image"].attributes
        # The rows of pages, the first four, are others.
        different = (ranged.X != automatic.X).any(axis=1)
        assert different[:4].all()
        assert "from 0 to 4095" in self.report()
        self.opened(**self.packed())
        assert self.control("Intensity").text == "from 0 to 4095"


class TestOtherWidgets(EmbeddingTest):
    """What users do with the vectors."""

    def test_straight_into_other_widgets(self):
        embedded, _ = self.embed(self.data)
        distances = self.send_to(
            OWDistances, "Data", embedded, metric_id=owdistances.Cosine
        )
        matrix = self.get_output("Distances", distances)
        np.testing.assert_allclose(matrix, Cosine(embedded), atol=1e-6)
        assert matrix[0, 1:].min() > 0.001
        self.send_to(OWHierarchicalClustering, "Distances", matrix)
        tsne = self.send_to(OWtSNE, "Data", embedded)
        assert len(self.get_output("Data", tsne)) == 6
        regression = self.send_to(OWLogisticRegression, "Data", embedded)
        assert self.get_output("Model", regression)(embedded).shape == (6,)
        neighbors = self.create_widget(OWNeighbors)
        signals = [("Data", embedded), ("Reference", embedded[:1])]
        self.send_signals(signals, widget=neighbors)
        assert len(self.get_output("Neighbors", neighbors)) == 5
        self.check_scores(embedded, self.get_output("Learner", regression))

    def send_to(self, cls, name, value, **settings):
        settings["__version__"] = cls.settings_version
        widget = self.create_widget(cls, settings)
        self.send_signal(name, value, widget=widget)
        self.wait_until_finished(widget, timeout=PATIENCE)
        assert not widget.Error.active
        return widget

    def check_scores(self, embedded, learner):
        scores = self.create_widget(
            OWTestAndScore, {"resampling": OWTestAndScore.LeaveOneOut}
        )
        self.send_signals([("Data", embedded), ("Learner", learner)], widget=scores)
        self.wait_until_finished(scores, timeout=PATIENCE)
        results = self.get_output("Evaluation Results", scores)
        assert results.predicted.shape == (1, 6)
        assert not results.failed[0]


class TestModels(EmbeddingTest):
    """Models that were trained on embeddings, and tables of other images."""

    # So small a std that the images can be told apart.
    VALUES = {"size": 40, "mean": [0.5] * 3, "std": [0.01] * 3}  # noqa: RUF012

    def setUp(self):
        super().setUp()
        path = make_network_file(self.tmp / "cells.pt")
        self.use(Choice.of_file(path, self.VALUES))
        self.embedded, _ = self.embed(self.data)
        folder = self.tmp / "others"
        os.makedirs(folder)
        for index in range(4):
            make_image(index + 50, (80, 60)).save(folder / f"{index}.png")
        self.others = ImportImages()(str(folder))[0]
        with ImageEmbedder(path, preprocessing=self.VALUES) as embedder:
            self.expected = embedder(self.others)[0]

    def model(self):
        learner = self.create_widget(OWLogisticRegression)
        self.send_signal("Data", self.embedded, widget=learner)
        self.wait_until_finished(learner, timeout=PATIENCE)
        return self.get_output("Model", learner)

    def check_predictions(self, model):
        predictions = self.create_widget(OWPredictions)
        self.send_signals(
            [("Data", self.others), ("Predictors", model)], widget=predictions
        )
        self.wait_until_finished(predictions, timeout=PATIENCE)
        predicted = self.get_output("Selected Predictions", predictions)
        values, probabilities = model(self.expected, model.ValueProbs)
        np.testing.assert_array_equal(predicted.get_column(model.name), values)
        (slot,) = predictions.predictors
        np.testing.assert_allclose(slot.results.unmapped_probabilities, probabilities)
        assert np.ptp(probabilities, axis=0).max() > 0.01

    def test_predictions(self):
        self.check_predictions(self.model())

    def test_saved_model(self):
        save = self.create_widget(OWSaveModel)
        self.send_signal("Model", self.model(), widget=save)
        save.filename, save.filter = str(self.tmp / "model.pkcls"), save.filters[0]
        save.save_file()
        load = self.create_widget(
            OWLoadModel, {"recent_paths": [RecentPath.create(save.filename, [])]}
        )
        assert not load.Error.active
        self.check_predictions(self.get_output("Model", load))

    def test_apply_domain(self):
        transform = self.create_widget(OWTransform)
        self.send_signals(
            [("Data", self.others), ("Template Data", self.embedded)], widget=transform
        )
        transformed = self.get_output("Transformed Data", transform)
        assert transformed.domain.attributes == self.embedded.domain.attributes
        np.testing.assert_array_equal(transformed.X, self.expected.X)
