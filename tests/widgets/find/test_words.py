"""Find Images with networks that know words, which are tiny here."""

import numpy as np
import pytest
from embedding_widget import texts
from find_widget import FindTest
from helpers import make_image

from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.clip_networks import ClipNetwork
from orangecontrib.imageanalytics.networks.hub_weights import HubWeights
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.widgets.find import finder
from orangecontrib.imageanalytics.widgets.find.findresults import NO_WORDS


class WordsTest(FindTest):
    @pytest.fixture(autouse=True)
    def tiny(self, fixtures, word_networks, hub_cache):
        self.word_networks, self.hub = word_networks, hub_cache
        self.network, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
        self.images = np.stack(ImageEmbedder(self.network)(self.photos))

    def setUp(self):
        super().setUp()
        self.opened(embedder=self.network.id)

    def similarity(self, text):
        return self.images @ TextEncoder(self.network).encode([text])[0]


class TestWords(WordsTest):
    def test_one_description(self):
        self.send()
        self.type("a dog")
        expected = self.similarity("a dog")
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-4)
        assert self.names() == [f"photo {i}.jpg" for i in np.argsort(-expected)]
        assert "6 matches for a dog" in self.status
        assert self.panel.offer.isHidden()
        self.type("")
        assert self.matches is None
        self.type("  a cat ")
        expected = self.similarity("a cat")
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-4)

    def test_weights_and_not(self):
        self.send()
        self.type("a dog", "a drawing")
        first, second = self.panel.lines.parts
        first.weight.setValue(3)
        second.negative.click()
        self.finish()
        expected = 3 * self.similarity("a dog") - self.similarity("a drawing")
        np.testing.assert_allclose(
            self.all.get_column("score"), expected / 4, atol=1e-4
        )
        second.remove_button.click()
        self.finish()
        expected = self.similarity("a dog")
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-4)

    def test_words_and_examples(self):
        self.send()
        self.type("a dog")
        self.widget.more_like([0])
        self.finish()
        source = self.widget.examples[0][0]
        like = self.images @ self.images[self.photos.index(source)]
        expected = (self.similarity("a dog") + like) / 2
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-4)

    def test_the_latest_words_win(self):
        self.send()
        edit = self.panel.lines.parts[0].edit
        for text in ("a", "a d", "a do", "a dog"):
            edit.setText(text)
        self.finish()
        expected = self.similarity("a dog")
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-4)

    def test_words_in_columns(self):
        self.send()
        self.type("a dog")
        folder = self.tmp / "others"
        folder.mkdir()
        make_image(70, (90, 60)).save(folder / "70.png")
        others, _ = ImportImages()(str(folder))
        (score,) = others.transform(self.all.domain).get_column("score")
        (vector,) = ImageEmbedder(self.network)([str(folder / "70.png")])
        text = TextEncoder(self.network).encode(["a dog"])[0]
        assert score == pytest.approx(vector @ text, abs=1e-4)

    def test_cancel_while_words_are_read(self):
        self.send()
        encode = TextEncoder.encode

        def endless(encoder, words, callback):
            while True:
                callback(0)

        self.monkeypatch.setattr(finder.TextEncoder, "encode", endless)
        self.panel.lines.parts[0].edit.setText("a dog")
        self.until(lambda: self.status == "Reading the words…")
        button = self.widget.cancel_button
        assert button.text() == "Cancel"
        button.click()
        assert self.status == "Cancelled."
        assert not self.widget.searcher.busy
        assert self.widget.Information.cancelled.is_shown()
        assert button.text() == "Continue"
        self.monkeypatch.setattr(finder.TextEncoder, "encode", encode)
        button.click()
        self.finish()
        assert len(self.matches) == 6
        assert not self.widget.Information.cancelled.is_shown()
        assert not button.isEnabled()


class TestClasses(WordsTest):
    def test_sorted_by_probability(self):
        self.send()
        self.sort_into("cat", "dog", "cat", "")
        encoder = TextEncoder(self.network)
        texts = [f"a photo of a {name}." for name in ("cat", "dog")]
        expected = encoder.probabilities(self.images @ encoder.encode(texts).T)
        classes = self.all.domain["class"]
        assert classes.values == ("cat", "dog")
        np.testing.assert_array_equal(
            self.all.get_column("class"), expected.argmax(axis=1)
        )
        np.testing.assert_allclose(
            self.all.get_column("class (dog)"), expected[:, 1], atol=1e-3
        )
        order = np.lexsort((-expected.max(axis=1), expected.argmax(axis=1)))
        assert self.names() == [f"photo {i}.jpg" for i in order]
        assert self.names_in(self.matches) == self.names()
        look = self.view.look
        counts = np.bincount(expected.argmax(axis=1), minlength=2)
        assert dict(zip(look.headings, look.counts, strict=True)) == {
            name: count
            for name, count in zip(classes.values, counts, strict=True)
            if count
        }
        assert self.labels()[0][0] == f"{expected.max(axis=1)[order[0]]:.0%}"
        assert "Sorted into 2 classes" in self.status

    def test_other(self):
        self.send()
        self.sort_into("cat", "dog")
        assert "other" not in self.all.domain["class"].values
        confidence = np.sort(
            np.maximum(
                self.all.get_column("class (cat)"), self.all.get_column("class (dog)")
            )
        )
        slider = self.widget.matches.other_slider
        below = int(np.ceil(100 * confidence[2]))
        slider.slider.setValue(below)
        self.finish()
        is_other = self.all.get_column("class") == 2
        n_other = (confidence < below / 100).sum()
        assert is_other.sum() == n_other > 0
        assert len(self.names()) == 6
        assert self.view.look.headings[-1] == "other"
        # These match none of the classes.
        assert (self.matches is None) == (n_other == 6)
        if self.matches is not None:
            assert len(self.matches) == 6 - n_other
        slider.slider.setValue(0)
        self.finish()
        assert "other" not in self.all.domain["class"].values

    def test_back_to_finding(self):
        self.send()
        self.type("a dog")
        self.sort_into("cat", "dog")
        assert self.view.look.headings
        self.panel.buttons["find"].click()
        self.finish()
        assert not self.view.look.headings
        assert "score" in self.all.domain
        # Examples are for finding.
        self.panel.buttons["sort"].click()
        self.finish()
        self.widget.more_like([0])
        self.finish()
        assert self.widget.mode == "find"
        assert self.panel.buttons["find"].isChecked()

    def test_templates(self):
        self.send()
        self.sort_into("cat", "dog")
        before = self.all.get_column("class (cat)")
        combo = self.panel.classes.templates_combo
        assert len(texts(combo)) == 3
        combo.setCurrentIndex(combo.findData("none"))
        combo.activated.emit(combo.currentIndex())
        self.finish()
        assert np.abs(self.all.get_column("class (cat)") - before).max() > 0
        assert self.packed()["templates"] == "none"

    def test_classes_of_the_data(self):
        button = self.panel.classes.data_button
        assert not button.isEnabled()
        self.send()
        self.panel.buttons["sort"].click()
        assert button.isEnabled()
        button.click()
        self.finish()
        # Apart from that of the data, there is a column for what was found.
        assert self.panel.classes.names == ["first", "second"]
        assert self.all.domain.class_var is self.data.domain.class_var
        assert self.matches is not None

    def test_too_few_classes(self):
        self.send()
        self.sort_into("cat")
        assert self.matches is None
        assert "two or more classes" in self.status
        self.sort_into("cat", "other")
        slider = self.widget.matches.other_slider.slider
        slider.setValue(50)
        self.finish()
        assert "other" in str(self.widget.Error.cannot_find)
        slider.setValue(0)
        self.finish()
        assert not self.widget.Error.cannot_find.is_shown()

    def test_one_class_of_a_network_with_the_sigmoid(self):
        network, _ = self.word_networks.put_network(self.hub, "Tiny-SigLIP2")
        self.opened(embedder=network.id, other_below=0.5)
        self.send()
        self.sort_into("cat")
        assert self.all.domain["class"].values == ("cat", "other")

    def test_workflow(self):
        self.send()
        self.sort_into("cat", "dog")
        names = self.names()
        stored = self.packed()
        self.widget = self.create_widget(self.cls, stored_settings=stored)
        assert self.panel.buttons["sort"].isChecked()
        self.send()
        assert self.names() == names
        report = self.report()
        assert "cat, dog" in report


class TestDownload(FindTest):
    @pytest.fixture(autouse=True)
    def nothing_here(self, fixtures, word_networks, hub_cache):
        network = word_networks.find("Tiny-CLIP")
        self.network_id, self.fractions = network.id, []

        def download(weights, name, callback=None):
            if not weights.available():
                for fraction in (0, 0.5, 1):
                    callback(fraction)
                    self.fractions.append(fraction)
                word_networks.put_network(hub_cache, "Tiny-CLIP")
            return ensure(weights, name, callback)

        ensure = HubWeights.ensure
        self.monkeypatch.setattr(HubWeights, "ensure", download)

    def test_asked_first_then_words_are_found(self):
        self.opened(embedder=self.network_id, descriptions=[("a dog", 1.0, False)])
        self.send()
        assert self.widget.Warning.download_needed.is_shown()
        assert self.matches is None
        assert self.question is None and not self.fractions
        self.widget.status.download_button.click()
        self.answer("Cancel")
        assert not self.fractions
        self.widget.status.download_button.click()
        self.answer("Download")
        self.finish()
        assert self.fractions == [0, 0.5, 1]
        assert not self.widget.Warning.download_needed.is_shown()
        images = np.stack(ImageEmbedder(self.network_id)(self.photos))
        text = TextEncoder(self.network_id).encode(["a dog"])[0]
        np.testing.assert_allclose(
            self.all.get_column("score"), images @ text, atol=1e-4
        )


class TestNoWords(FindTest):
    def test_networks_are_offered(self):
        self.send()
        self.type("a dog")
        offer = self.panel.offer
        assert not offer.isHidden()
        assert "EfficientNet-Lite0 does not know words" in offer.label.text()
        assert self.widget.Warning.no_words.is_shown()
        assert NO_WORDS in self.status
        assert self.matches is None
        network = find_network("clip-vit-b-32")
        (button,) = (b for b in offer.buttons if network.name in b.text())
        assert f"{network.megabytes:,.0f} MB" in button.text()
        button.click()
        self.until(lambda: self.question is not None)
        assert network.name in self.question.text()
        assert self.widget.embedder == network.id
        assert offer.isHidden()
        assert not self.widget.Warning.no_words.is_shown()
        self.answer("Cancel")
        self.finish()
        assert self.widget.Warning.download_needed.is_shown()

    def test_package_that_is_not_installed(self):
        missing = property(lambda _: "They need the package open_clip_torch")
        with self.monkeypatch.context() as patch:
            patch.setattr(ClipNetwork, "not_installed", missing)
            self.send()
            self.type("a dog")
            offer = self.panel.offer
            assert "need the package open_clip_torch. Then" in offer.label.text()
            assert not any(button.isEnabled() for button in offer.buttons)
        self.type("")
        self.type("a cat")
        assert "open_clip_torch" not in offer.label.text()
        assert all(button.isEnabled() for button in offer.buttons)

    def test_networks_are_looked_up_once(self):
        asked = []
        known = property(lambda network: asked.append(network) or "")
        self.monkeypatch.setattr(ClipNetwork, "not_installed", known)
        self.send()
        asked.clear()
        self.panel.lines.parts[0].edit.setText("a")
        n_asked = len(asked)
        assert n_asked
        self.panel.lines.parts[0].edit.setText("a dog")
        assert len(asked) == n_asked
        self.finish()

    def test_examples_are_used_all_the_same(self):
        self.send()
        self.more_like(2)
        self.type("a dog")
        assert "only the examples are used" in self.panel.offer.label.text()
        assert self.names()[0] == "photo 2.jpg"
        self.type("")
        assert self.panel.offer.isHidden()

    def test_classes_need_words(self):
        self.send()
        self.panel.buttons["sort"].click()
        assert not self.panel.offer.isHidden()  # before names are typed in vain
        assert NO_WORDS in self.status
        self.sort_into("cat", "dog")
        assert not self.panel.offer.isHidden()
        assert self.matches is None
        self.panel.buttons["find"].click()
        assert self.panel.offer.isHidden()
