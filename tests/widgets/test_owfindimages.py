"""Find Images: what goes in and out, and what it says; its parts have their tests."""

import os
import pickle
import threading

import numpy as np
from all_widgets import BAD_CASES, GOOD
from AnyQt.QtCore import Qt, QUrl
from AnyQt.QtGui import QKeySequence
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QAbstractButton, QApplication, QLabel
from find_widget import FindTest, similarities
from helpers import make_image
from Orange.data import Domain, StringVariable, Table

from orangecontrib.imageanalytics.embedding_columns import (
    EmbedImages,
    append_vectors,
)
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.widgets.find import find_task
from orangecontrib.imageanalytics.widgets.find.findrun import NOTHING_ASKED
from orangecontrib.imageanalytics.widgets.find.matchcontrols import COUNTS
from orangecontrib.imageanalytics.widgets.owfindimages import NO_DATA
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    NO_IMAGE_COLUMN,
    NO_ROWS,
)


class TestFindByExample(FindTest):
    def test_best_first_with_scores(self):
        self.send()
        assert self.names() == [os.path.basename(path) for path in self.photos]
        assert self.matches is None
        self.more_like(2)
        embedded, *_ = ImageEmbedder()(self.data)
        expected = similarities(embedded.X[:, -1280:], 2)
        order = np.argsort(-expected)
        assert order[0] == 2
        assert self.names() == [f"photo {i}.jpg" for i in order]
        assert self.names_in(self.matches) == self.names()
        score = self.matches.domain["score"]
        assert score in self.matches.domain.metas
        np.testing.assert_allclose(
            self.matches.get_column(score), expected[order], atol=1e-5
        )
        assert self.labels()[1][0] == f"{expected[order[1]]:.3f}"
        assert self.names_in(self.all) == [f"photo {i}.jpg" for i in range(6)]
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-5)
        assert "6 matches for 1 example" in self.status

    def test_several_examples(self):
        self.send()
        self.more_like(0, 1)
        both = self.matches.get_column("score")
        assert self.examples() == ["photo 0.jpg", "photo 1.jpg"]
        assert set(self.names()[:2]) == {"photo 0.jpg", "photo 1.jpg"}
        # The same again changes nothing.
        self.more_like(0)
        self.view.select_rows([])
        np.testing.assert_array_equal(self.matches.get_column("score"), both)

    def test_selection_is_sent(self):
        self.send()
        self.more_like(2)
        assert self.view.selected_rows() == []  # it was among the others
        names = self.names()
        self.view.select_rows([1, 3])
        assert self.names_in(self.matches) == [names[1], names[3]]
        selected = self.all.get_column("Selected") == 1
        assert set(self.names_in(self.all[selected])) == {names[1], names[3]}
        self.view.select_rows([])
        assert self.names_in(self.matches) == names

    def test_selection_without_a_question(self):
        self.send()
        self.view.select_rows([4])
        assert self.names_in(self.matches) == ["photo 4.jpg"]
        assert "score" not in self.all.domain
        self.view.select_rows([])
        assert self.matches is None

    def test_how_many(self):
        self.send()
        self.more_like(2)
        names = self.names()
        slider = self.widget.matches.limit_slider
        slider.slider.setValue(COUNTS.index(3))
        assert slider.label.text() == "3"
        assert self.names() == names[:3]
        assert self.names_in(self.matches) == names[:3]
        assert len(self.all) == 6
        # Selected images stay selected as long as they are shown.
        self.view.select_rows([1])
        slider.slider.setValue(COUNTS.index(2))
        assert self.names_in(self.matches) == [names[1]]
        slider.slider.setValue(COUNTS.index(1))
        assert self.names_in(self.matches) == names[:1]
        slider.slider.setValue(COUNTS.index(5))
        assert self.names_in(self.matches) == [names[1]]

    def test_from_a_score(self):
        self.send()
        self.more_like(2)
        names, scores = self.names(), self.matches.get_column("score")
        controls = self.widget.matches
        controls.limit_slider.slider.setValue(COUNTS.index(4))
        combo = controls.limit_combo
        combo.setCurrentIndex(combo.findData("score"))
        combo.activated.emit(combo.currentIndex())
        # What is shown stays, and the slider continues from there.
        assert self.names() == names[:4]
        slider = controls.limit_slider.slider
        assert slider.value() == round(1000 * scores[3])
        slider.setValue(int(1000 * scores[1]))
        assert self.names() == names[:2]
        slider.setValue(slider.minimum())
        assert self.names() == names
        slider.setValue(slider.maximum())
        assert self.names() == names[:1]

    def test_nothing_found(self):
        self.opened(limit_by="score", least_score=0.99)
        self.send()
        self.drop(QUrl.fromLocalFile(self.save_image(50)).toString())
        self.finish()
        assert self.names() == []
        assert "No image has such a score" in self.view.look.message
        assert self.matches is None
        assert len(self.all) == 6
        slider = self.widget.matches.limit_slider.slider
        slider.setValue(slider.minimum())
        assert len(self.names()) == 6
        assert self.view.look.message == ""

    def save_image(self, seed) -> str:
        path = self.tmp / f"example {seed}.png"
        make_image(seed, (80, 60)).save(path)
        return str(path)

    def test_dropped_files(self):
        self.send()
        path = self.save_image(50)
        assert self.drop(QUrl.fromLocalFile(path).toString())
        self.finish()
        assert self.examples() == ["example 50.png"]
        vectors = ImageEmbedder()([path, *self.photos])
        expected = similarities(np.stack(vectors), 0)[1:]
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-5)
        # Fields for text leave the files to the window.
        fields = self.panel.lines.parts[0].edit, self.panel.classes.edit
        assert not any(field.acceptDrops() for field in fields)
        assert not self.drop("https://example.com/cat.jpg")
        assert self.examples() == ["example 50.png"]

    def test_example_that_cannot_be_read(self):
        self.send()
        broken = self.tmp / "broken.jpg"
        broken.write_bytes(b"no image")
        self.widget.add_examples([str(broken)])
        self.finish()
        assert self.widget.Error.cannot_find.is_shown()
        assert "broken.jpg" in str(self.widget.Error.cannot_find)
        self.widget.matches.limit_slider.slider.setValue(COUNTS.index(4))
        assert "broken.jpg" in self.status  # which does not ask for an example
        self.widget.matches.limit_slider.slider.setValue(COUNTS.index(50))
        assert self.matches is None
        assert len(self.names()) == 6
        # Others are used all the same.
        self.more_like(3)
        assert not self.widget.Error.cannot_find.is_shown()
        assert self.names()[0] == "photo 3.jpg"
        assert "broken.jpg" in str(self.widget.Warning.examples_failed)
        self.widget.remove_examples([0])
        self.finish()
        assert not self.widget.Warning.examples_failed.is_shown()
        assert self.names()[0] == "photo 3.jpg"

    def test_examples_from_the_input(self):
        self.send(examples=self.data[1:2])
        assert self.examples() == ["photo 1.jpg"]
        assert self.names()[0] == "photo 1.jpg"
        strip = self.panel.strip
        assert not strip.remove_button.isEnabled()
        self.more_like(5)
        assert len(self.examples()) == 2
        finder = self.widget.finder
        self.send_signal(self.widget.Inputs.examples, None)
        self.finish()
        assert self.widget.finder is finder  # nothing is embedded again
        assert len(self.examples()) == 1
        assert len(self.matches) == 6

    def test_examples_without_images(self):
        self.send(examples=Table("iris")[:3])
        assert self.widget.Warning.no_example_column.is_shown()
        assert self.examples() == []
        assert self.matches is None
        self.send_signal(self.widget.Inputs.examples, None)
        assert not self.widget.Warning.no_example_column.is_shown()

    def test_examples_in_the_column_of_the_same_name(self):
        columns = []
        for name in ("front", "back"):
            columns.append(StringVariable(name))
            columns[-1].attributes["type"] = "image"
        paths = [self.photos, self.photos[::-1]]
        metas = np.array(list(zip(*paths, strict=True)), dtype=object)
        empty = np.empty((6, 0))
        data = Table.from_numpy(Domain([], None, columns), empty, metas=metas)
        self.send(data, examples=data[1:2])
        assert self.examples() == ["photo 1.jpg"]
        self.choose("Column", "back")
        self.finish()
        assert self.examples() == ["photo 4.jpg"]
        best = self.all[int(np.argmax(self.all.get_column("score")))]
        assert str(best["back"]) == self.photos[4]
        # Otherwise, it is the first.
        other = Table.from_numpy(
            Domain([], None, columns[:1]), empty, None, metas[:, :1]
        )
        self.send(data, examples=other[2:3])
        assert self.examples() == ["photo 2.jpg"]

    def test_removing(self):
        self.send()
        self.more_like(0, 1, 2)
        strip = self.panel.strip
        strip.view.select_rows([1])
        strip.remove_button.click()
        self.finish()
        assert self.examples() == ["photo 0.jpg", "photo 2.jpg"]
        strip.view.setCurrentIndex(strip.view.model().index(0))
        strip.view.select_rows([0])
        self.show(strip.view)
        QTest.keyClick(strip.view, Qt.Key.Key_Delete)
        self.finish()
        assert self.examples() == ["photo 2.jpg"]
        (action,) = strip.menu(strip.view.model().index(0)).actions()
        action.trigger()
        self.finish()
        assert self.examples() == []
        assert self.matches is None
        assert self.names() == [os.path.basename(path) for path in self.photos]
        assert NOTHING_ASKED["find"] in self.status

    def test_more_like_this_by_key_and_menu(self):
        self.send()
        self.show(self.view)
        self.view.setCurrentIndex(self.view.model().index(4))
        QTest.keyClick(self.view, Qt.Key.Key_M)
        self.finish()
        assert self.examples() == ["photo 4.jpg"]
        menu = self.widget.image_actions.menu(self.view.model().index(1))
        other = self.names()[1]
        (action,) = (a for a in menu.actions() if a.text() == "More Like This")
        action.trigger()
        self.finish()
        assert self.examples() == ["photo 4.jpg", other]
        # The data may be replaced while the menu is open.
        self.view.select_rows([2, 3])
        names = [self.names()[row] for row in (2, 3)]
        menu = self.widget.image_actions.menu(self.view.model().index(2))
        self.send(self.data[:1])
        (action,) = (a for a in menu.actions() if a.text() == "More Like This")
        action.trigger()
        self.finish()
        assert self.examples() == ["photo 4.jpg", other, *names]

    def test_button_needs_an_image(self):
        assert not self.panel.strip.more_button.isEnabled()
        self.send()
        assert not self.panel.strip.more_button.isEnabled()
        self.view.select_rows([0])
        assert self.panel.strip.more_button.isEnabled()

    def test_new_data_is_searched_at_once(self):
        self.send()
        self.more_like(2)
        self.send(self.data[:2])
        assert len(self.matches) == 2
        assert "score" in self.matches.domain.metas[-1].name


class TestColumns(FindTest):
    def test_other_images_get_scores_without_the_widget(self):
        self.send()
        self.more_like(2)
        domain = self.all.domain
        folder = self.tmp / "others"
        folder.mkdir()
        for seed in (70, 71):
            make_image(seed, (90, 60)).save(folder / f"{seed}.png")
        others, _ = ImportImages()(str(folder))
        domain = pickle.loads(pickle.dumps(domain))
        scores = others.transform(domain).get_column("score")
        vectors = np.stack(
            ImageEmbedder()([self.photos[2], *map(str, sorted(folder.iterdir()))])
        )
        np.testing.assert_allclose(scores, similarities(vectors, 0)[1:], atol=1e-5)

    def test_vectors_in_the_table_are_used(self):
        embedded, *_ = ImageEmbedder()(self.data)
        for path in self.photos:
            os.remove(path)
        self.send(embedded)
        assert not self.widget.skipped_images
        self.more_like(2)
        expected = similarities(embedded.X[:, -1280:], 2)
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-5)

    def test_vectors_in_the_table_need_no_download(self):
        vectors = np.random.default_rng(0).normal(size=(6, 2048))
        compute = EmbedImages.of(EmbeddingSpec.choose("resnet50"), "image")
        self.opened(embedder="resnet50")
        self.send(append_vectors(self.data, vectors, compute))
        assert not self.widget.Warning.download_needed.is_shown()
        self.more_like(2)
        expected = similarities(vectors, 2)
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-5)
        # Other images do need the network.
        make_image(50).save(self.tmp / "other.png")
        self.widget.add_examples([str(self.tmp / "other.png")])
        self.finish()
        assert "not on this computer" in str(self.widget.Warning.examples_failed)
        np.testing.assert_allclose(self.all.get_column("score"), expected, atol=1e-5)

    def test_vectors_of_another_network_are_not(self):
        embedded, *_ = ImageEmbedder("squeezenet")(self.data)
        self.send(embedded)
        self.more_like(2)
        found = self.all.domain["score"].compute_value.compute_shared
        assert isinstance(found, EmbedImages)
        assert found.spec.network.id == "efficientnet-lite0"
        self.choose("Network", "squeezenet")
        self.finish()
        found = self.all.domain["score"].compute_value.compute_shared
        assert found.spec.network.id == "squeezenet"


class TestStates(FindTest):
    def test_nothing_to_search(self):
        assert self.view.look.message == NO_DATA
        assert self.status == NO_DATA.partition("\n")[0]
        self.send(Table("iris"))
        assert self.widget.Error.no_image_attr.is_shown()
        assert self.view.look.message == NO_IMAGE_COLUMN
        assert self.matches is None
        self.send(self.data[:0])
        assert self.view.look.message == NO_ROWS
        self.send(self.empty())
        assert not self.widget.Error.no_image_attr.is_shown()
        assert "is empty" in self.view.look.message
        assert self.widget.Warning.no_images.is_shown()
        self.send()
        assert self.view.look.message == ""
        assert not self.widget.Warning.no_images.is_shown()
        assert NOTHING_ASKED["find"] in self.status
        assert len(self.names()) == 6
        self.send_signal(self.widget.Inputs.images, None)
        assert self.view.look.message == NO_DATA
        assert self.names() == []
        assert self.all is None

    def test_messages_about_images_that_are_gone(self):
        self.send()
        self.more_like(2)
        self.widget.add_examples([str(self.tmp / "gone.png")])
        self.finish()
        assert self.widget.Warning.examples_failed.is_shown()
        self.send(Table("iris"))
        assert not self.widget.Warning.examples_failed.is_shown()
        assert self.names() == []

    def empty(self):
        data = self.data.copy()
        with data.unlocked():
            data.metas[:, [m.name for m in data.domain.metas].index("image")] = ""
        return data

    def test_skipped_images(self):
        with open(self.photos[3], "wb") as file:
            file.write(b"no image")
        self.send()
        assert "1 image was skipped" in str(self.widget.Warning.images_skipped)
        ((image, reason),) = self.widget.skipped_images
        assert os.path.basename(image) == "photo 3.jpg"
        assert reason
        self.more_like(0)
        assert "1 skipped" in self.status
        assert "photo 3.jpg" not in self.names()
        assert len(self.matches) == 5
        assert np.isnan(self.all.get_column("score")[3])

    def test_all_skipped(self):
        for path in self.photos:
            os.remove(path)
        self.send()
        assert "No image could be embedded" in self.status
        assert len(self.widget.skipped_images) == 6
        self.more_like(0)
        assert self.matches is not None  # what is selected
        assert len(self.names()) == 6

    def slow(self):
        """Make embedding wait; return the event that lets it go on."""
        gate, begun = threading.Event(), threading.Event()
        self.addCleanup(gate.set)
        table = find_task.LazyEmbedder.table

        def wait(embedder, data, column, callback, **options):
            begun.set()
            while not gate.wait(0.02):
                callback(0.5)
            return table(embedder, data, column, callback, **options)

        self.monkeypatch.setattr(find_task.LazyEmbedder, "table", wait)
        return gate, begun

    def test_cancel_and_continue(self):
        gate, begun = self.slow()
        self.send_signal(self.widget.Inputs.images, self.data)
        self.until(begun.is_set)
        self.until(lambda: self.status.startswith("3 of 6 images"))
        button = self.widget.cancel_button
        assert button.text() == "Cancel"
        button.click()
        assert self.widget.Information.cancelled.is_shown()
        assert self.widget.task is None
        assert button.text() == "Continue"
        gate.set()
        button.click()
        self.finish()
        assert not self.widget.Information.cancelled.is_shown()
        assert not button.isEnabled()
        assert self.widget.finder is not None

    def test_what_is_asked_meanwhile_is_answered(self):
        gate, begun = self.slow()
        self.send_signal(self.widget.Inputs.images, self.data)
        self.until(begun.is_set)
        self.widget.more_like([1])
        assert self.widget.answer is None
        gate.set()
        self.finish()
        assert self.names()[0] == "photo 1.jpg"

    def test_deleted_while_it_works(self):
        _gate, begun = self.slow()
        self.send_signal(self.widget.Inputs.images, self.data)
        self.until(begun.is_set)
        self.widget.onDeleteWidget()

    def test_error_of_the_network(self):
        def fail(*_args, **_options):
            raise ModelError("the file is <damaged>")

        self.monkeypatch.setattr(find_task.LazyEmbedder, "table", fail)
        self.send()
        assert "damaged" in str(self.widget.Error.network_missing)
        assert "&lt;damaged&gt;" in self.status
        assert self.widget.cancel_button.text() == "Try Again"

    def test_download_is_asked_for(self):
        self.send()
        self.choose("Network", "resnet50")
        self.until(lambda: self.question is not None)
        assert "103 MB" in self.question.text()
        self.answer("Cancel")
        self.finish()
        assert self.widget.Warning.download_needed.is_shown()
        assert not self.widget.status.download_button.isHidden()
        assert not self.widget.cancel_button.isEnabled()
        assert len(self.names()) == 6
        # A workflow does not ask.
        self.opened(embedder="resnet50")
        self.send()
        assert self.question is None
        assert self.widget.Warning.download_needed.is_shown()
        self.choose("Network", "efficientnet-lite0")
        self.finish()
        assert not self.widget.Warning.download_needed.is_shown()

    def test_data_is_gone_when_the_user_agrees(self):
        self.send()
        self.choose("Network", "resnet50")
        self.until(lambda: self.question is not None)
        self.send_signal(self.widget.Inputs.images, None)
        self.answer("Download")
        self.finish()
        assert self.view.look.message == NO_DATA

    def test_file_of_a_network_moves_with_the_workflow(self):
        choice = self.network_file("here", "cells.pt")
        self.opened({"basedir": str(self.tmp / "here")})
        self.send()
        self.use(choice)
        self.finish()
        stored = self.packed()
        os.rename(self.tmp / "here", self.tmp / "there")
        self.opened({"basedir": str(self.tmp / "there")}, **stored)
        self.send()
        self.more_like(2)
        assert len(self.matches) == 6

    def test_network_in_a_file(self):
        self.send()
        self.use(self.network_file("cells.pt"))
        self.finish()
        self.more_like(2)
        assert len(self.matches) == 6
        assert self.packed()["own_networks"]

    def test_bad_input_while_something_is_looked_for(self):
        path = os.path.join(os.path.dirname(self.photos[0]), "photo 0.jpg")
        for case, make in BAD_CASES.items():
            for mode in ("find", "sort"):
                with self.subTest(case=case, mode=mode):
                    self.opened(
                        mode=mode,
                        examples=[(path, "", "")],
                        descriptions=[("a dog", 1.0, False)],
                        class_names=["cat", "dog"],
                    )
                    data = make(self.photos)
                    self.send_signal(self.widget.Inputs.images, data)
                    self.send_signal(self.widget.Inputs.examples, data)
                    self.finish()
                    assert not self.widget.Error.unexpected_error.is_shown()
                    self.widget.send_report()
                    found = self.matches
                    if mode == "find" and case in GOOD:
                        assert len(found) == GOOD[case]
                    self.send_signal(self.widget.Inputs.images, None)
                    assert self.all is None

    def test_column_without_others(self):
        domain = Domain([], None, [StringVariable("image")])
        metas = np.array([[path] for path in self.photos], dtype=object)
        self.send(Table.from_numpy(domain, np.empty((6, 0)), metas=metas))
        self.more_like(2)
        assert self.names()[0] == "photo 2.jpg"


class TestSettings(FindTest):
    def test_workflow(self):
        self.send()
        self.more_like(2)
        self.widget.matches.limit_slider.slider.setValue(COUNTS.index(4))
        self.view.select_rows([1, 2])
        self.type("a cat", "not much")
        self.view.select_rows([1, 2])
        names, expected = self.names(), self.names_in(self.matches)
        stored = self.packed()
        assert pickle.loads(pickle.dumps(stored)) == stored
        self.widget = self.create_widget(self.cls, stored_settings=stored)
        assert self.panel.lines.lines == [
            ("a cat", 1.0, False),
            ("not much", 1.0, False),
        ]
        self.send()
        assert self.names() == names
        assert self.names_in(self.matches) == expected
        assert self.examples() == ["photo 2.jpg"]

    def test_new_widgets_look_for_nothing(self):
        self.send()
        self.more_like(2)
        self.type("a cat")
        self.widget.settingsHandler.update_defaults(self.widget)
        other = self.another()
        assert other.examples == []
        assert other.descriptions == []

    def test_examples_move_with_the_workflow(self):
        place, moved = self.tmp / "here", self.tmp / "there"
        (place / "looks").mkdir(parents=True)
        path = place / "looks" / "like.png"
        make_image(60, (64, 48)).save(path)
        self.opened({"basedir": str(place)})
        self.widget.add_examples([str(path)])
        stored = self.packed()
        os.rename(place, moved)
        self.opened({"basedir": str(moved)}, **stored)
        self.until(lambda: not self.widget._locating.busy)
        ((source, *_),) = self.widget.examples
        assert source == str(moved / "looks" / "like.png")
        self.send()
        assert len(self.matches) == 6
        # If only the workflow has moved, they are where they were.
        self.opened({"basedir": str(self.tmp / "elsewhere")}, **self.packed())
        self.until(lambda: not self.widget._locating.busy)
        ((source, *_),) = self.widget.examples
        assert source == str(moved / "looks" / "like.png")

    def test_report(self):
        self.send()
        self.more_like(2)
        self.widget.show()
        report = self.report()
        assert "EfficientNet-Lite0" in report
        assert "the best 50" in report
        assert "6 matches" in report
        assert "#skipped" not in report

    def test_report_of_sentences(self):
        """Sentences of the status are not joined by commas."""
        self.send()
        report = self.report()
        assert "more like this." in report
        assert "6 images" in report
        assert ".," not in report


class TestKeyboard(FindTest):
    def test_find_key_goes_to_the_words(self):
        self.show(self.view)
        QTest.keyClick(self.view, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
        self.until(lambda: QApplication.focusWidget() is self.lines[0].edit)

    @property
    def lines(self):
        return self.panel.lines.parts

    def test_keys_of_controls_are_unique(self):
        self.widget.show()
        for mode in ("find", "sort"):
            self.panel.buttons[mode].click()
            texts = [
                part.text()
                for kind in (QAbstractButton, QLabel)
                for part in self.widget.findChildren(kind)
                if part.isVisible() and (kind is not QLabel or part.buddy())
            ]
            keys = [QKeySequence.mnemonic(text).toString() for text in texts]
            keys = [key for key in keys if key]
            assert len(keys) > 5
            assert sorted(keys) == sorted(set(keys))

    def test_all_controls_have_names_and_are_reached_by_tab(self):
        self.send()
        self.type("a", "b")
        self.widget.show()
        order = [self.lines[0].edit]
        while (widget := order[-1].nextInFocusChain()) is not order[0]:
            order.append(widget)
        reached = [w for w in order if w.focusPolicy() & Qt.FocusPolicy.TabFocus]
        strip = self.panel.strip
        wanted = [
            self.lines[0].edit,
            self.lines[0].weight,
            self.lines[1].edit,
            strip.view,
            strip.files_button,
            self.view,
        ]
        places = [reached.index(part) for part in wanted]
        assert places == sorted(places)
        for part in (self.lines[1].edit, self.lines[1].weight, strip.view, self.view):
            assert part.accessibleName()
        assert "(M)" in strip.more_button.toolTip()
        assert "(Delete)" in strip.remove_button.toolTip()
