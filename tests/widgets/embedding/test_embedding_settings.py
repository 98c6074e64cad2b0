"""Settings that are saved and opened again, also by other versions and widgets."""

import os

from embedding_widget import FakeEmbeddingTest, with_columns

from orangecontrib.imageanalytics.networks.registry import DEFAULT

DEFAULT_NAME = "EfficientNet-Lite0"


class SettingsTest(FakeEmbeddingTest):
    def run_with(self, **settings):
        self.opened(**settings)
        self.embed(self.data)
        return self.widget


class TestOldSettings(SettingsTest):
    def test_version_1(self):
        expected = ["inception-v3", "squeezenet", "vgg16", "vgg19"]
        for number, name in enumerate(expected):
            widget = self.run_with(cb_embedder_current_id=number, __version__=1)
            assert widget.embedder == name
            assert not widget.Warning.network_replaced.is_shown()

    def test_networks_that_are_no_more(self):
        for number, name in enumerate(["Painters", "DeepLoc", "openface"], start=4):
            widget = self.run_with(cb_embedder_current_id=number, __version__=1)
            assert widget.embedder == DEFAULT
            warning = str(widget.Warning.network_replaced)
            assert (
                warning == f"{name} is not available; {DEFAULT_NAME} is used instead."
            )
            assert self.fake.made[-1].model == DEFAULT

    def test_column_of_version_1(self):
        widget = self.run_with(cb_image_attr_current_id=1, __version__=1)
        assert widget.image_column.name == "image name"
        assert self.fake.made[-1].column.name == "image name"
        # It is spent: other data starts with its own first column.
        self.embed(with_columns(self.data, "a", "b"))
        assert widget.image_column.name == "a"

    def test_bad_numbers_of_version_1(self):
        widget = self.run_with(
            cb_image_attr_current_id=7, cb_embedder_current_id=99, __version__=1
        )
        assert widget.image_column.name == "image"
        assert widget.embedder == DEFAULT
        assert "Network 99 is not available" in str(widget.Warning.network_replaced)
        for odd in ([], "a", {}, -1, 2.5):
            widget = self.run_with(cb_embedder_current_id=odd, __version__=1)
            assert widget.embedder == DEFAULT
            assert widget.Warning.network_replaced.is_shown()

    def test_version_2(self):
        widget = self.run_with(device="cpu", embedder="squeezenet", __version__=2)
        assert (widget.embedder, widget.layer, widget.fit) == ("squeezenet", "", "")
        (made,) = self.fake.made
        assert made.options == {"layer": None, "fit": None, "intensity": "auto"}
        assert widget.own_networks == []

    def test_version_3(self):
        widget = self.run_with(
            embedder="squeezenet",
            layer="penultimate",
            fit="pad",
            intensity="100:700",
            device="cpu",
            own_networks=[{"model": "timm:a.b"}],
            last_dir="/somewhere",
            _auto_apply=True,
            __version__=3,
        )
        (made,) = self.fake.made
        assert (made.model, made.asked_device) == ("squeezenet", "cpu")
        assert made.options == {
            "layer": "penultimate",
            "fit": "pad",
            "intensity": "100:700",
        }
        assert self.shown("Layer") == "Before the classifier"
        assert self.shown("Fit") == "Pad"
        assert self.control("Intensity").text == "from 100 to 700"
        assert self.own() == ["a.b"]
        assert widget.last_dir == "/somewhere"


class TestOddSettings(SettingsTest):
    """As from a later version, or a file written by hand."""

    def test_warning_goes_with_a_choice(self):
        widget = self.run_with(embedder="from the future")
        assert "from the future" in str(widget.Warning.network_replaced)
        self.choose("Network", "squeezenet")
        assert not widget.Warning.network_replaced.is_shown()

    def test_networks_and_fit(self):
        odd = [None, 7, {"model": 3}, {"model": "squeezenet"}, {"nothing": 1}]
        odd += [{"model": "timm:a", "preprocessing": 3}, {"model": "timm:b"}]
        widget = self.run_with(own_networks=odd, fit="twist")
        assert widget.own_networks == [{"model": "timm:b"}]
        assert widget.fit == ""
        assert self.shown("Fit") == "As trained (crop)"

    def test_other_types(self):
        widget = self.run_with(
            own_networks=5, old_column_index="a", last_dir=5, layer=5, fit=[]
        )
        assert widget.own_networks == []
        assert widget.image_column.name == "image"
        assert widget.last_dir == ""
        assert self.get_output("Embeddings") is self.data

    def test_network_of_other_types(self):
        for odd in (5, None, [], {"a": 1}):
            widget = self.run_with(embedder=odd, layer="features.1")
            assert widget.embedder == DEFAULT
            assert widget.layer == ""  # it was that of another network
            assert str(odd) in str(widget.Warning.network_replaced)

    def test_intensity(self):
        for value in ("bright", "5:1", None, 7):
            widget = self.run_with(intensity=value)
            assert widget.intensity == "auto"
            assert self.control("Intensity").text == "Automatic"

    def test_place_without_a_name(self):
        own = [{"model": "/some/cells.pt", "prefix": "basedir"}]
        env = {"basedir": os.getcwd()}
        self.opened(env=env, embedder="squeezenet", own_networks=own)
        assert self.widget.own_networks == []

    def test_device(self):
        assert self.run_with(device="abacus").device == "auto"


class TestSaving(SettingsTest):
    def test_saved_and_opened_again(self):
        widget = self.run_with(embedder="squeezenet")
        self.choose_device("cpu")
        self.choose("Layer", "penultimate")
        self.choose("Fit", "crop")
        widget.column_combo.setCurrentIndex(1)
        widget.column_combo.activated.emit(1)
        self.finish()
        saved = self.packed()
        again = self.run_with(**saved)
        assert again.image_column.name == "image name"
        assert self.shown("Network") == "SqueezeNet"
        assert self.shown("Layer") == "Before the classifier"
        assert self.shown("Fit") == "Crop"
        assert again.device_choice.combo.currentText() == "CPU"

    def test_column_is_remembered_by_name(self):
        self.embed(with_columns(self.data, "a", "b"))
        self.widget.column_combo.activated.emit(1)
        self.embed(self.data)
        assert self.widget.image_column.name == "image"
        self.embed(with_columns(self.data, "x", "b"))
        self.embed(with_columns(self.data, "c", "a", "b"))
        self.embed(with_columns(self.data, "a", "b"))
        assert self.widget.image_column.name == "b"


class TestLastNetworks(FakeEmbeddingTest):
    """All widgets share them; workflows do not have them."""

    def test_last_five(self):
        names = ["6.pt", "5.pt", "4.pt", "3.pt", "2.pt"]
        self.use(*(self.network_file(f"{number}.pt") for number in range(7)))
        assert self.own() == names
        self.widget.saveSettings()
        packed = self.packed()
        assert [own["model"] for own in packed["own_networks"]] == [
            self.widget.embedder
        ]
        assert "last_dir" not in packed
        # In another workflow.
        assert self.own_of_another(DEFAULT) == names
        # What a workflow uses comes first, if it uses any.
        other = "timm:resnet18.a1_in1k"
        assert self.own_of_another(other) == ["resnet18.a1_in1k", *names[:4]]

    def own_of_another(self, model):
        settings = {"embedder": model, "own_networks": [], "__version__": 3}
        self.widget = self.another(settings)
        return self.own()

    def test_same_name_beside_another_workflow(self):
        """A network is chosen in one workflow, then another workflow is begun."""
        first, second = str(self.tmp / "first"), str(self.tmp / "second")
        self.opened(env={"basedir": first})
        chosen = self.network_file("first", "cells.pt")
        self.network_file("second", "cells.pt")
        self.use(chosen)
        self.widget.saveSettings()
        assert self.another(basedir=second).embedder == chosen.model
        other = self.another({"embedder": "squeezenet"}, basedir=second)
        assert [own["model"] for own in other.own_networks] == [chosen.model]
        os.remove(chosen.model)
        assert self.another(basedir=second).embedder == chosen.model
        assert "relpath" not in str(self.widget.settingsHandler.defaults)

    def test_chosen_in_another_widget(self):
        other = self.another()
        self.use(self.network_file("cells.pt"))
        self.widget.saveSettings()
        other.saveSettings()
        self.widget = self.another()
        assert self.own() == ["cells.pt"]
