"""The widgets, as their users see them."""

import os

from embedding_widget import EmbeddingTest
from helpers import PATIENCE

from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from orangecontrib.imageanalytics.widgets.owimageimport import OWImportImages
from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer
from orangecontrib.imageanalytics.widgets.utils.two_texts import DETAILS


class TestEmbedding(EmbeddingTest):
    def test_networks_that_come_with_the_add_on(self):
        for model, n_features in (
            ("efficientnet-lite0", 1280),
            ("efficientnet-lite2", 1280),
            ("squeezenet", 1000),
        ):
            self.choose("Network", model)
            embedded, skipped = self.embed(self.data)
            assert embedded.X.shape == (6, n_features) and skipped is None
            assert not self.widget.Error.active and not self.widget.Warning.active
            assert self.device == "in use: CPU"

    def test_list_of_networks(self):
        combo = self.control("Network")
        for index, network in enumerate(NETWORKS):
            details = combo.itemData(index, DETAILS)
            if network.makes_graph:
                assert details.endswith("on this computer"), network.id
            else:
                assert details.endswith(f"needs {network.missing_package}")

    def test_network_that_needs_torch(self):
        self.send_signal("Images", self.data)
        self.choose("Network", "resnet50")
        assert "needs PyTorch" in self.description
        assert "pip install torch torchvision" in self.description
        self.finish()
        assert self.question is None  # whether to download it
        assert "ResNet-50 needs PyTorch" in str(*self.widget.Error.active)
        assert self.get_output("Embeddings") is None
        self.choose("Network", "squeezenet")
        self.finish()
        assert len(self.get_output("Embeddings")) == 6
        assert not self.widget.Error.active

    def test_gpu(self):
        self.choose_device("gpu")
        embedded, _ = self.embed(self.data)
        assert len(embedded) == 6
        assert "needs PyTorch" in str(self.widget.Warning.no_gpu)
        assert "The CPU is used." in str(self.widget.Warning.no_gpu)

    def test_layers(self):
        combo = self.control("Layer")
        combo.showPopup()
        self.until(lambda: "Looking up the stages…" not in self.offered("Layer"))
        assert "Stage 4 of 5 (middle)" in self.offered("Layer")
        combo.hidePopup()

    def test_workflow_with_a_network_in_a_file(self):
        self.opened(embedder=str(self.tmp / "cells.onnx"))
        self.send_signal("Images", self.data)
        self.finish()
        assert "A network in a file needs PyTorch" in str(*self.widget.Error.active)

    def test_from_a_folder_to_the_viewer_and_the_grid(self):
        importing = self.create_widget(OWImportImages)
        importing.set_folder(os.path.dirname(os.path.dirname(self.photos[0])))
        self.wait_until_finished(widget=importing, timeout=PATIENCE)
        images = self.get_output(importing.Outputs.data, widget=importing)
        embedded, _ = self.embed(images)
        assert len(embedded) == 6
        for widget_class in (OWImageViewer, OWImageGrid):
            widget = self.create_widget(widget_class)
            self.send_signal(widget.Inputs.data, embedded, widget=widget)
            self.wait_until_finished(widget=widget, timeout=PATIENCE)
            self.until(lambda widget=widget: widget.view.count() >= 6)
            assert not widget.Error.active
            assert not widget.grab().isNull()
