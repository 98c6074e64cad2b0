"""The network that is chosen, how it is found again, and what is known of it."""

import dataclasses
import json
import os
import sys
import threading
from unittest.mock import patch

import numpy as np
import pytest
import torch
from AnyQt.QtWidgets import QApplication, QMessageBox
from embedding_widget import VALUES, EmbeddingTest
from helpers import make_network_file

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.networks.checkpoints import PackagedNetwork
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network
from orangecontrib.imageanalytics.widgets.embedding import embedding_task
from orangecontrib.imageanalytics.widgets.embedding.consent import Consent
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    look_up,
)
from orangecontrib.imageanalytics.widgets.embedding.other_network_dialog import (
    OtherNetworkDialog,
)


class TestDialog(EmbeddingTest):
    def test_other_is_pressed_twice(self):
        dialog = self.dialog()
        assert self.dialog() is dialog
        assert self.widget.findChildren(OtherNetworkDialog) == [dialog]

    def test_deleted_while_it_is_open(self):
        dialog = self.dialog()
        self.widget.onDeleteWidget()
        assert not dialog.isVisible()


class TestWords(EmbeddingTest):
    def test_package_is_not_installed(self):
        """It is said before anything is downloaded."""
        self.monkeypatch.setitem(sys.modules, "open_clip", None)
        self.send_signal("Images", self.data)
        self.choose("Network", "clip-vit-b-32")
        assert "needs open_clip_torch" in self.description
        assert "open_clip_torch: pip install" in self.description
        self.finish()
        assert self.windows(QMessageBox) == []
        assert "open_clip_torch: pip install" in str(*self.widget.Error.active)
        assert self.get_output("Embeddings") is None

    def test_network(self):
        pytest.importorskip("open_clip")
        self.choose("Network", "siglip2-vit-b-16")
        assert "768 features, download of 1,536 MB" in self.description
        assert "many languages" in self.description
        assert self.shown("Layer") == "Default (shared with words)"
        assert self.shown("Fit") == "As trained (stretch)"


class TestFile(EmbeddingTest):
    def test_file(self):
        self.embed(self.data)
        choice = self.network_file("cells.pt")
        self.use(choice)
        self.finish()
        embedded = self.get_output("Embeddings")
        with ImageEmbedder(choice.model, preprocessing=VALUES) as embedder:
            np.testing.assert_array_equal(embedded.X, embedder(self.data)[0].X)
        assert embedded.X.shape == (6, 4)
        assert self.shown("Network") == "cells.pt"
        assert "4 features, on this computer" in self.description
        assert self.own() == ["cells.pt"]
        assert not self.control("Layer").isEnabled()
        assert self.offered("Layer") == ["Output of the network"]
        assert self.widget.last_dir == str(self.tmp)
        report = self.report()
        assert "cells.pt, 4 features" in report
        assert "Output of the network" in report
        self.choose("Network", DEFAULT)
        assert self.control("Layer").isEnabled()
        assert self.own() == ["cells.pt"]

    def test_names_of_classes(self):
        path = make_network_file(self.tmp / "birds.pt")
        classes = ["wren", "robin", "crow", "kite"]
        with open(self.tmp / "birds.json", "w", encoding="utf-8") as file:
            json.dump({**VALUES, "classes": classes}, file)
        self.opened(embedder=path, layer="features", own_networks=[{"model": path}])
        embedded, _ = self.embed(self.data)
        assert [v.name for v in embedded.domain.attributes] == classes
        assert self.shown("Layer") == "Class scores"
        assert "no layer 'features'" in str(self.widget.Warning.layer_replaced)

    def test_weights_of_a_known_architecture(self):
        """They have layers, as the listed networks."""
        from torchvision.models import squeezenet1_1

        path = str(self.tmp / "cells.pth")
        torch.save(squeezenet1_1(num_classes=3).state_dict(), path)
        given = {"architecture": "torchvision:squeezenet1_1", "classes": 3, "size": 64}
        own = [Choice.of_file(path, given).as_settings()]
        self.opened(embedder=path, layer="features.7", own_networks=own)
        embedded, _ = self.embed(self.data)
        assert not self.widget.Error.active
        assert not self.widget.Warning.layer_replaced.is_shown()
        assert self.control("Layer").isEnabled()
        assert self.control("Layer").currentData() == "features.7"
        assert embedded.X.shape == (6, 256)
        self.choose("Layer", "logits")
        self.finish()
        assert self.get_output("Embeddings").X.shape == (6, 3)

    def test_what_is_expected_is_changed(self):
        self.send_signal("Images", self.data)
        choice = self.network_file("cells.pt")
        self.use(choice)
        self.finish()
        first = self.get_output("Embeddings").X
        self.use(Choice(choice.model, {**VALUES, "mean": [0.1] * 3}))
        self.finish()
        assert np.abs(self.get_output("Embeddings").X - first).max() > 0.01
        assert self.own() == ["cells.pt"]

    def test_missing(self):
        network = self.network_file("folder", "cells.pt")
        base = str(self.tmp / "elsewhere")
        gone = dataclasses.replace(
            network, model="/gone/cells.pt", prefix="basedir", relpath="cells.pt"
        )
        own = [gone.as_settings()]
        self.opened(env={"basedir": base}, embedder=gone.model, own_networks=own)
        assert self.shown("Network") == "cells.pt"
        embedded, _ = self.embed(self.data)
        assert embedded is None
        error = str(self.widget.Error.network_missing)
        assert "/gone/cells.pt" in error
        assert os.path.join(base, "cells.pt") in error
        assert "Other…" in error
        assert not self.widget.Warning.download_needed.is_shown()
        self.use(network)
        self.finish()
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Error.active

    def test_missing_with_values_beside_it(self):
        self.opened(embedder="/gone/cells.pt2")
        self.embed(self.data)
        assert "/gone/cells.pt2" in str(self.widget.Error.network_missing)

    def test_other_expectation_while_it_works(self):
        """Without automatic apply the result is that of the choice before."""
        self.apply_by_hand()
        choice, gate = self.network_file("cells.pt"), threading.Event()
        self.use(choice)
        with patch.object(
            embedding_task, "look_up", lambda c: gate.wait(60) and look_up(c)
        ):
            self.send_signal("Images", self.data)
            self.use(Choice(choice.model, {**VALUES, "size": 32}))
            gate.set()
            self.finish()
        self.until(lambda: "on this computer" in self.description.lower())
        assert self.widget.network.facts.network.preprocessing.size == 32
        assert "features" not in self.description

    def test_error_is_about_its_own_file(self):
        self.apply_by_hand()
        self.use(self.network_file("cells.pt"))
        gate = threading.Event()

        def fail(_):
            gate.wait(60)
            raise ModelError("cells.pt is odd.")

        with patch.object(embedding_task, "look_up", fail):
            self.send_signal("Images", self.data)
            self.use(Choice("/gone/other.pt", dict(VALUES)))
            gate.set()
            self.finish()
        assert str(self.widget.Error.network_missing) == "cells.pt is odd."

    def test_reason_without_automatic_apply(self):
        self.apply_by_hand()
        self.widget.show()
        width = self.widget.sizeHint().width()
        self.use(Choice(f"/gone/{'long' * 60}.pt", dict(VALUES)))
        label = self.widget.network.label
        self.until(lambda: "/gone/long" in label.text())
        assert "/gone/long" in label.toolTip()
        self.widget.status.show_text(f"<p>{label.toolTip()}</p>")
        QApplication.sendPostedEvents()  # with which layouts follow
        assert self.widget.sizeHint().width() == width
        self.choose("Network", "squeezenet")
        assert label.toolTip() == ""


class TestWhereFilesAre(EmbeddingTest):
    def moved_to(self, folder):
        """The workflow is saved in another folder."""
        env = {"basedir": str(folder)}
        patched = patch.object(self.widget, "workflowEnv", return_value=env)
        patched.start()
        self.addCleanup(patched.stop)
        self.widget.workflowEnvChanged("basedir", str(folder), None)
        self.widget.workflowEnvChanged("else", "", None)

    def test_moves_with_the_workflow(self):
        old, new = self.tmp / "old", self.tmp / "new"
        self.opened(env={"basedir": str(old)})
        self.use(self.network_file("old", "nets", "cells.pt"))
        settings = self.packed()
        assert settings["own_networks"][0]["relpath"] == "nets/cells.pt"
        os.rename(old, new)
        self.opened(env={"basedir": str(new)}, **settings)
        assert self.widget.embedder == str(new / "nets" / "cells.pt")
        assert self.own() == ["cells.pt"]
        embedded, _ = self.embed(self.data)
        assert embedded.X.shape == (6, 4)

    def test_workflow_is_saved(self):
        self.use(self.network_file("cells.pt"))
        self.moved_to(self.tmp)
        (own,) = self.packed()["own_networks"]
        assert (own["prefix"], own["relpath"]) == ("basedir", "cells.pt")
        assert own["preprocessing"] == VALUES

    def test_file_is_found_where_the_workflow_is_saved(self):
        network = self.network_file("cells.pt")
        gone = dataclasses.replace(
            network, model="/gone/cells.pt", prefix="basedir", relpath="cells.pt"
        )
        self.opened(embedder=gone.model, own_networks=[gone.as_settings()])
        self.embed(self.data)
        assert self.widget.Error.network_missing.is_shown()
        self.moved_to(self.tmp)
        self.finish()
        assert self.get_output("Embeddings").X.shape == (6, 4)
        assert not self.widget.Error.active

    def test_saved_beside_another_of_the_same_name(self):
        chosen = self.network_file("first", "cells.pt")
        self.network_file("second", "cells.pt")
        self.use(chosen)
        self.moved_to(self.tmp / "second")
        assert self.widget.embedder == chosen.model

    def test_only_the_chosen_file_is_looked_at(self):
        self.use(*(self.network_file(f"{number}.pt") for number in range(3)))
        self.widget.saveSettings()
        looked_at = []
        settings = self.packed()

        def exists(path):
            # In other threads, the first widget looks at its own file.
            if threading.current_thread() is threading.main_thread():
                looked_at.append(path)

        with patch.object(os.path, "exists", exists):
            new = self.another()
            assert not looked_at
            new.workflowEnvChanged("basedir", str(self.tmp), None)
            assert not looked_at
            self.another(settings, basedir=str(self.tmp))
        assert {os.path.basename(path) for path in looked_at} == {"2.pt"}

    def test_chosen_by_a_button_elsewhere(self):
        chosen = []
        self.widget.network.chosen.connect(lambda: chosen.append(self.widget.embedder))
        self.widget.network.use("squeezenet")
        assert self.shown("Network") == "SqueezeNet"
        self.widget.network.use("squeezenet")
        assert chosen == ["squeezenet"]

    def test_recent_one_is_chosen_again(self):
        self.use(*(self.network_file(name) for name in ("a.pt", "b.pt", "c.pt")))
        combo = self.control("Network")
        with patch.object(combo, "show_own", wraps=combo.show_own) as show_own:
            self.choose("Network", str(self.tmp / "a.pt"))
        assert show_own.call_count == 1
        assert self.own() == ["a.pt", "c.pt", "b.pt"]
        assert combo.currentText() == "a.pt"
        self.widget.saveSettings()
        self.widget = self.another()
        assert self.own() == ["a.pt", "c.pt", "b.pt"]


@dataclasses.dataclass(frozen=True)
class FakeWeights:
    """Those of another network, once they are there."""

    real: object
    file: str
    megabytes: float = float("nan")
    origin = "https://example.com"
    licence = "MIT"

    @property
    def path(self):
        return self.file

    @property
    def sha256(self):
        return self.real.sha256

    @property
    def fingerprint(self):
        return self.real.fingerprint + "x"

    def available(self):
        return os.path.exists(self.file)

    def ensure(self, name, callback=None):
        if not self.available():
            callback(0.5)
            with open(self.file, "w", encoding="utf-8"):
                pass
        return self.real.ensure(name)


class TestByName(EmbeddingTest):
    """A family whose only network is `tiny`: in truth the default one."""

    TARGET = "orangecontrib.imageanalytics.networks.torchvision_networks.find"

    @pytest.fixture(autouse=True)
    def family(self, fixtures):
        self.threads, self.megabytes = [], float("nan")
        self.file = str(self.tmp / "weights")
        self.monkeypatch.setattr(self.TARGET, self.find)

    def find(self, name):
        self.threads.append(threading.current_thread())
        if name.partition(".")[0] != "tiny":
            raise ValueError(f"torchvision has no network {name}")
        network = find_network(DEFAULT)
        return dataclasses.replace(
            network,
            id="torchvision:tiny.V2",
            name="tiny (V2)",
            n_features=None,
            weights=FakeWeights(network.weights, self.file, self.megabytes),
        )

    def use_tiny(self):
        self.use(Choice("torchvision:tiny"))
        self.until(lambda: self.question is not None)
        self.finish()

    def test_download_asks_first(self):
        self.embed(self.data)
        self.use_tiny()
        assert "tiny (V2) (size unknown)" in self.question.text()
        assert self.widget.Warning.download_needed.is_shown()
        assert not os.path.exists(self.file)
        assert threading.main_thread() not in self.threads
        self.answer("Download")
        self.finish()
        assert self.get_output("Embeddings").X.shape == (6, 1280)
        assert os.path.exists(self.file)
        assert "1,280 features, on this computer" in self.description

    def test_download_is_refused(self):
        self.megabytes = 42
        self.embed(self.data)
        self.use_tiny()
        assert "tiny (V2) (42 MB)" in self.question.text()
        self.answer("Cancel")
        assert self.get_output("Embeddings") is None
        assert "42 MB" in self.widget.status.download_button.text()
        assert "Download of 42 MB" in self.description
        # Put there by hand meanwhile.
        open(self.file, "w", encoding="utf-8").close()
        self.embed(self.data)
        assert self.get_output("Embeddings") is not None

    def test_a_workflow_is_opened(self):
        """Nothing pops up and nothing is fetched."""
        self.opened(embedder="torchvision:tiny")
        assert self.shown("Network") == "tiny"
        assert "From torchvision" in self.description
        self.embed(self.data)
        assert self.question is None
        assert self.widget.Warning.download_needed.is_shown()
        assert self.get_output("Embeddings") is None
        assert threading.main_thread() not in self.threads

    def test_weights_are_remembered(self):
        """Another version may have others by default."""
        self.use(Choice("torchvision:tiny"))
        self.until(lambda: "to be downloaded" in self.description.lower())
        assert self.widget.embedder == "torchvision:tiny.V2"
        assert self.widget.own_networks == [{"model": "torchvision:tiny.V2"}]
        assert self.own() == ["tiny"]
        assert self.shown("Network") == "tiny"
        assert self.shown("Fit") == "As trained (crop)"
        assert self.question is None  # there is no data

    def test_another_choice_while_it_is_looked_up(self):
        gate, find = threading.Event(), self.find
        self.apply_by_hand()
        self.send_signal("Images", self.data)
        self.finish()
        with patch(self.TARGET, lambda name: gate.wait(60) and find(name)):
            self.use(Choice("torchvision:tiny"))
            self.widget.apply_box.button.click()
            self.choose("Network", "squeezenet")
            gate.set()
            self.finish()
        assert self.question is None
        assert self.widget.embedder == "squeezenet"
        assert "1,000 features" in self.description
        assert not self.widget.Warning.download_needed.is_shown()
        assert "Press Apply" in self.status
        assert self.widget.apply_box.button.isEnabled()

    def test_no_such_network(self):
        self.opened(embedder="torchvision:huge")
        self.embed(self.data)
        assert "no network huge" in str(self.widget.Error.network_missing)

    def test_timm_is_missing(self):
        def find(_):
            raise ModelError('timm is missing: pip install "x[timm]"')

        self.monkeypatch.setattr(
            "orangecontrib.imageanalytics.networks.timm_networks.find", find
        )
        self.opened(embedder="timm:a.b")
        self.embed(self.data)
        assert "pip install" in str(self.widget.Error.network_missing)

    def test_looked_up_and_asked_once(self):
        self.embed(self.data)
        self.use_tiny()
        assert len(self.threads) == 1
        self.answer("Cancel")
        self.process_events()
        assert self.question is None

    def test_facts_come_with_the_result_alone(self):
        self.opened(embedder="torchvision:tiny")
        self.widget.on_done(look_up(self.widget.network.choice))
        assert self.widget.Warning.download_needed.is_shown()

    def test_layer_is_looked_for_before_the_download(self):
        Consent.agreed.add("torchvision:tiny.V2")

        def fail(_network):
            raise ModelError("no stages")

        with patch.object(PackagedNetwork, "stages", fail):
            self.opened(embedder="torchvision:tiny", layer="features.1")
            self.embed(self.data)
        assert "no stages" in str(self.widget.Error.network_missing)
        assert not os.path.exists(self.file)

    def test_length_is_known_as_soon_as_another_is_chosen(self):
        """Though before, another layer was chosen, whose length nobody knew."""
        self.opened(layer="features.3")
        assert "features" not in self.description
        self.apply_by_hand()
        self.choose("Network", "squeezenet")
        assert "1,000 features" in self.description
