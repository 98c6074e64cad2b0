import json
import os
import threading
import time
from pathlib import Path

import pytest
import torch
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QFileDialog, QLabel, QMessageBox
from helpers import make_harmful_file, make_network_file
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.networks.registry import FAMILIES
from orangecontrib.imageanalytics.widgets.embedding import (
    network_file_page,
    network_name_page,
)
from orangecontrib.imageanalytics.widgets.embedding.name_search import NameModel
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.embedding.other_network_dialog import (
    OtherNetworkDialog,
)
from orangecontrib.imageanalytics.widgets.embedding.preparation_form import IMAGENET
from orangecontrib.imageanalytics.widgets.embedding.trust_question import ask_to_trust

NAMES = {
    "clip": (),
    "torchvision": ("torchvision:resnet18", "torchvision:resnet50"),
    "timm": (
        "timm:legacy_resnet18.x",
        "timm:resnet50.a1_in1k",
        "timm:ViT_small.DINO",
    ),
}


class TestNames:
    @pytest.fixture
    def model(self):
        model = NameModel()
        for names in NAMES.values():
            model.extend(names)
        return model

    def found(self, model):
        rows = range(model.rowCount())
        return [model.index(row, 0).data(Qt.UserRole) for row in rows]

    @pytest.mark.parametrize(
        "text, expected",
        [
            ("", [name for names in NAMES.values() for name in names]),
            ("50", ["torchvision:resnet50", "timm:resnet50.a1_in1k"]),
            ("resnet TIMM", ["timm:resnet50.a1_in1k", "timm:legacy_resnet18.x"]),
            ("timm resnet 50", ["timm:resnet50.a1_in1k"]),
            ("dino vit", ["timm:ViT_small.DINO"]),
            ("resnet18", ["torchvision:resnet18", "timm:legacy_resnet18.x"]),
            ("vit resnet", []),
        ],
    )
    def test_search(self, model, text, expected):
        model.search(text)
        assert self.found(model) == expected
        assert model.total == 5

    def test_names_come_while_one_searches(self):
        model = NameModel()
        model.search("50")
        model.extend(NAMES["torchvision"])
        assert self.found(model) == ["torchvision:resnet50"]
        model.extend(NAMES["timm"])
        assert len(self.found(model)) == 2

    def test_fast(self):
        model = NameModel()
        model.extend(f"timm:network_{number}.weights" for number in range(2000))
        start = time.perf_counter()
        for text in ("n", "net", "network", "network 1", "network 19", "1 wei"):
            model.search(text)
        assert time.perf_counter() - start < 0.6


class Base(GuiTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, tmp_path, monkeypatch):
        self.tmp, self.monkeypatch = tmp_path, monkeypatch
        self.threads = set()
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(network_name_page, "family_names", self.names)

    def names(self, family):
        self.threads.add(threading.current_thread())
        assert self.gate.wait(10)
        return NAMES[family]

    def open(self, **options):
        self.dialog = dialog = OtherNetworkDialog(str(self.tmp), **options)
        self.taken = []
        dialog.chosen.connect(self.taken.append)
        dialog.open()
        return dialog

    def until(self, condition):
        assert QTest.qWaitFor(condition, 10_000)

    def closed(self):
        QTest.qWait(10)
        return self.dialog not in self.top_levels()

    def top_levels(self):
        from AnyQt.QtWidgets import QApplication

        return [w for w in QApplication.topLevelWidgets() if w.isVisible()]

    def tearDown(self):
        for widget in self.top_levels():
            if isinstance(widget, OtherNetworkDialog):
                widget.reject()
        QTest.qWait(10)
        super().tearDown()


class TestByName(Base):
    def open(self, **options):
        super().open(**options)
        self.page = self.dialog.by_name
        self.until(lambda: not self.page.busy)
        return self.dialog

    def type(self, text):
        QTest.keyClicks(self.page.search, text)

    def press(self, key):
        QTest.keyClick(self.page.search, key)

    def test_names_are_looked_up_in_a_thread(self):
        self.gate.clear()
        super().open()
        page = self.dialog.by_name
        assert page.count_label.text() == "Looking up the names…"
        assert not self.dialog.use_button.isEnabled()
        self.gate.set()
        self.until(lambda: page.count_label.text() == "5 networks")
        assert threading.main_thread() not in self.threads

    def test_closed_while_names_are_looked_up(self):
        self.gate.clear()
        dialog = super().open()
        dialog.reject()
        self.gate.set()
        assert self.closed()

    def test_enter_takes_the_first(self):
        dialog = self.open()
        self.press(Qt.Key_Return)  # nothing is chosen
        assert dialog in self.top_levels()
        self.type("legacy")
        assert self.page.count_label.text() == "1 of 5 networks"
        assert dialog.use_button.isEnabled()
        self.press(Qt.Key_Return)
        assert self.taken == [Choice("timm:legacy_resnet18.x")]
        assert self.closed()

    def test_arrow_keys(self):
        self.open()
        self.type("50")
        self.press(Qt.Key_Down)
        self.press(Qt.Key_Return)
        assert self.taken == [Choice("timm:resnet50.a1_in1k")]

    def test_choice_is_kept_while_it_is_found(self):
        dialog = self.open()
        self.type("5")
        self.press(Qt.Key_Down)
        self.type("0")
        assert self.page.id == "timm:resnet50.a1_in1k"
        self.type("q")
        assert self.page.id == ""
        assert not dialog.use_button.isEnabled()
        assert self.page.count_label.text() == "No name contains all of these words."

    def test_double_click(self):
        self.open()
        index = self.page.model.index(1, 0)
        self.page.view.doubleClicked.emit(index)
        assert not self.taken
        self.page.view.setCurrentIndex(index)
        self.page.view.doubleClicked.emit(index)
        assert self.taken == [Choice("torchvision:resnet50")]

    def test_timm_is_missing(self):
        def names(family):
            if family == "timm":
                raise ModelError('timm is missing: pip install "x[timm]"')
            return NAMES[family]

        self.monkeypatch.setattr(network_name_page, "family_names", names)
        self.open()
        assert self.page.problem_label.isVisible()
        assert "pip install" in self.page.problem_label.text()
        assert self.page.model.total == 2

    def test_broken_torch(self):
        def names(_):
            raise OSError("libtorch is not there")

        self.monkeypatch.setattr(network_name_page, "family_names", names)
        self.open()
        assert "libtorch is not there" in self.page.problem_label.text()
        assert not self.dialog.use_button.isEnabled()

    def test_real_names(self):
        pytest.importorskip("timm")
        pytest.importorskip("open_clip")
        self.monkeypatch.undo()
        super().open()
        page = self.dialog.by_name
        assert QTest.qWaitFor(lambda: not page.busy, 60_000)
        assert page.model.total > 1000
        rows = range(page.model.total)
        ids = {page.model.index(row, 0).data(Qt.UserRole) for row in rows}
        assert "torchvision:resnet18" in ids
        assert "clip:ViT-B-16-SigLIP2.webli" in ids
        assert {id.partition(":")[0] for id in ids} == set(FAMILIES)


class FromFile(Base):
    def open(self, file=None, **options):
        super().open(**options)
        self.dialog.tabs.setCurrentIndex(1)
        self.page = self.dialog.from_file
        if file is not None:
            self.page.set_file(str(file))
            self.until(lambda: not self.page._reading.busy)
        return self.dialog

    def use(self):
        self.dialog.use_button.click()
        self.until(lambda: self.taken or not self.page._trying.busy)

    def problem(self):
        return self.page.problem_text.toPlainText()


class TestFromFile(FromFile):
    def test_nothing_chosen(self):
        dialog = self.open()
        assert not dialog.use_button.isEnabled()
        assert not self.page.form.isEnabled()
        assert not self.page.problem_text.isVisible()

    def test_values_by_hand(self):
        path = make_network_file(self.tmp / "cells.pt")
        dialog = self.open(path)
        assert self.page.form.isEnabled()
        assert "cells.json" in self.page.source_label.text()
        values = self.page.values()
        assert values == IMAGENET | {
            key: list(IMAGENET[key]) for key in ("mean", "std")
        }
        self.page.form.size_spin.setValue(40)
        self.page.form.mean_spins[2].setValue(0.25)
        self.page.form.fit_combo.setCurrentIndex(2)
        assert dialog.use_button.isEnabled()
        self.use()
        (choice,) = self.taken
        assert choice.model == path
        assert choice.preprocessing == values | {
            "size": 40,
            "mean": [0.485, 0.456, 0.25],
            "fit": "pad",
        }
        assert self.closed()

    def test_values_given_before(self):
        path = make_network_file(self.tmp / "cells.pt")
        given = IMAGENET | {"size": 40, "mean": [0.5] * 3, "channels": "BGR"}
        self.open(path, own=[Choice("timm:a"), Choice(path, given)])
        values = self.page.values()
        assert (values["size"], values["channels"]) == (40, "BGR")
        assert values["mean"] == [0.5] * 3
        assert self.page.form.isEnabled()
        self.page.set_file(make_network_file(self.tmp / "other.pt"))
        self.until(lambda: not self.page._reading.busy)
        assert self.page.values()["size"] == 224

    def test_odd_values_given_before(self):
        path = make_network_file(self.tmp / "cells.pt")
        for given in ({"size": "a"}, {**IMAGENET, "mean": 3}, {"nonsense": 1}):
            dialog = self.open(path, own=[Choice(path, given)])
            assert self.page.values()["size"] == 224
            assert dialog.use_button.isEnabled()
            dialog.reject()

    def test_missing_file(self):
        dialog = self.open(self.tmp / "gone.pt")
        assert str(self.tmp / "gone.pt") in self.problem()
        assert not dialog.use_button.isEnabled()
        assert not self.page.form.isEnabled()

    def test_values_beside_the_file(self):
        path = make_network_file(self.tmp / "cells.pt")
        beside = {"size": 48, "mean": [9, 8, 7], "std": [3, 3, 3], "range": 255}
        (self.tmp / "cells.json").write_text(json.dumps(beside))
        self.open(path)
        assert not self.page.form.isEnabled()
        assert "cells.json" in self.page.source_label.text()
        assert self.page.values()["size"] == 48
        assert self.page.values()["mean"] == [9, 8, 7]
        assert self.page.values()["range"] == 255
        self.use()
        assert self.taken[0].preprocessing is None
        # Another file begins with what suits most.
        self.open(path)
        other = make_network_file(self.tmp / "other.pt")
        self.page.set_file(other)
        self.until(lambda: not self.page._reading.busy)
        assert self.page.values()["size"] == 224
        assert self.page.form.isEnabled()

    def test_bad_values_beside_the_file(self):
        path = make_network_file(self.tmp / "cells.pt")
        (self.tmp / "cells.json").write_text('{"size": 48}')
        dialog = self.open(path)
        assert "mean" in self.problem()
        assert not dialog.use_button.isEnabled()
        (self.tmp / "cells.json").unlink()
        self.page.set_file(path)
        self.until(lambda: not self.page._reading.busy)
        assert dialog.use_button.isEnabled()
        assert not self.page.problem_text.isVisible()

    def test_bad_values_by_hand(self):
        dialog = self.open(make_network_file(self.tmp / "cells.pt"))
        self.page.form.mean_spins[0].setValue(120)
        self.use()
        assert not self.taken
        assert "mean" in self.problem()
        assert self.page.problem_text.isVisible()
        assert self.page.problem_text.isReadOnly()
        assert dialog.use_button.isEnabled()

    def test_network_that_does_not_work(self):
        self.open(make_network_file(self.tmp / "grey.pt", channels=1))
        self.use()
        assert not self.taken
        assert "grey.pt" in self.problem()

    def test_file_that_is_no_network(self):
        for name in ("words.pt", "weights.pth", "words.txt"):
            Path(self.tmp / name).write_text("some words")
            self.open(self.tmp / name)
            self.use()
            assert not self.taken
            assert name in self.problem()
            self.dialog.reject()

    def test_it_is_tried_in_a_thread(self):
        gate = threading.Event()
        self.monkeypatch.setattr(
            network_file_page, "try_network", lambda *_: gate.wait(10)
        )
        dialog = self.open(make_network_file(self.tmp / "cells.pt"))
        dialog.use_button.click()
        assert self.page.busy_bar.isVisible()
        assert not dialog.use_button.isEnabled()
        assert not self.page.form.isEnabled()
        assert not dialog.tabs.isTabEnabled(0)
        gate.set()
        self.until(lambda: self.taken)

    def test_other_tab_after_it_was_refused(self):
        dialog = self.open(make_network_file(self.tmp / "grey.pt", channels=1))
        self.use()
        assert dialog.tabs.isTabEnabled(0)

    def test_closed_while_it_is_tried(self):
        gate = threading.Event()
        self.monkeypatch.setattr(
            network_file_page, "try_network", lambda *_: gate.wait(10)
        )
        dialog = self.open(make_network_file(self.tmp / "cells.pt"))
        dialog.use_button.click()
        dialog.reject()
        gate.set()
        QTest.qWait(50)
        assert not self.taken

    def test_scale(self):
        """What was proposed follows the scale, what was typed does not."""
        self.open(make_network_file(self.tmp / "cells.pt"))
        self.page.form.mean_spins[1].setValue(0.5)

        def choose(index):
            self.page.form.range_combo.setCurrentIndex(index)
            self.page.form.range_combo.activated.emit(index)
            values = self.page.values()
            return values["mean"], values["std"]

        assert choose(1) == ([123.675, 0.5, 103.53], [58.395, 57.12, 57.375])
        assert choose(0) == ([0.485, 0.5, 0.406], [0.229, 0.224, 0.225])

    def test_browse(self):
        path = make_network_file(self.tmp / "cells.pt")
        asked = []

        def get(parent, title, folder, files):
            asked.append(folder)
            return path if len(asked) > 1 else "", ""

        self.monkeypatch.setattr(QFileDialog, "getOpenFileName", get)
        self.open()
        self.page.browse_button.click()
        assert self.page.path == ""
        self.page.browse_button.click()
        self.page.browse_button.click()
        assert self.page.path == path
        assert asked == [str(self.tmp)] * 2 + [os.path.dirname(path)]

    def test_large_fonts(self):
        from AnyQt.QtWidgets import QApplication

        font = QApplication.font()
        large = QApplication.font()
        # Qt 5 has another screen where there is none.
        screen = QApplication.primaryScreen().availableGeometry()
        large.setPointSize(screen.height() // 20)
        QApplication.setFont(large)
        try:
            dialog = self.open(make_network_file(self.tmp / "cells.pt"))
            QTest.qWait(20)
            height = dialog.height()
        finally:
            QApplication.setFont(font)
        assert height <= dialog.screen().availableGeometry().height()

    def test_progress_is_named(self):
        self.open()
        assert self.page.busy_bar.accessibleName()

    def test_empty(self):
        self.open()
        assert ".onnx" in self.page.source_label.text()
        assert "SavedModel" in self.page.source_label.text()
        assert not self.page.form.children()
        assert not self.dialog.use_button.isEnabled()

    def test_every_field_has_a_label(self):
        self.open()
        form = self.page.preparation_form
        labels = [w for w in form.findChildren(QLabel) if w.buddy()]
        keys = [w.text()[w.text().index("&") + 1].lower() for w in labels]
        assert len(labels) == 6
        # With those of the tabs.
        assert len({*keys, "n", "f"}) == 8


class TestWeights(FromFile):
    """Of a network of torchvision or timm."""

    def weights(self, name="cells.pth"):
        from torchvision.models import squeezenet1_1

        path = self.tmp / name
        torch.save(squeezenet1_1(num_classes=3).state_dict(), path)
        return str(path)

    def test_by_hand(self):
        path = self.weights()
        self.open(path)
        form = self.page.form
        assert form is self.page.architecture_form
        assert form.isEnabled()
        assert "which network the weights belong to" in self.page.source_label.text()
        assert not self.dialog.use_button.isEnabled()
        form.name_edit.setText("resnet")
        assert self.dialog.use_button.isEnabled()
        self.use()
        assert not self.taken
        assert "architecture must be" in self.problem()
        form.name_edit.setText(" torchvision:squeezenet1_1 ")
        form.classes_spin.setValue(4)
        self.use()
        assert not self.taken
        assert "512" in self.problem()
        form.classes_spin.setValue(3)
        self.use()
        (choice,) = self.taken
        given = {"architecture": "torchvision:squeezenet1_1", "classes": 3}
        assert choice == Choice.of_file(path, given)
        assert self.closed()
        # It is proposed again.
        self.open(path, own=[choice])
        assert self.page.values() == given

    def test_beside_the_file(self):
        path = self.weights()
        given = {"architecture": "torchvision:squeezenet1_1", "classes": list("abc")}
        (self.tmp / "cells.json").write_text(json.dumps(given))
        self.open(path)
        assert not self.page.form.isEnabled()
        assert "cells.json says" in self.page.source_label.text()
        assert self.page.form.name_edit.text() == given["architecture"]
        assert self.page.form.classes_spin.value() == 3
        self.use()
        assert self.taken[0].preprocessing is None

    def test_names_are_offered(self):
        self.open(self.weights())
        self.until(lambda: not self.dialog.by_name.busy)
        completer = self.page.form.name_edit.completer()
        completer.setCompletionPrefix("SNET18")
        found = {
            completer.completionModel().index(row, 0).data()
            for row in range(completer.completionCount())
        }
        assert found == {"torchvision:resnet18", "timm:legacy_resnet18.x"}

    def test_its_form_needs_no_more_room_than_it_has_rows(self):
        self.open(self.weights())
        form, page = self.page.architecture_form, self.page
        assert page.forms.sizeHint() == form.sizeHint()
        assert page.preparation_form.sizeHint().height() > form.sizeHint().height()

    def test_no_form_is_cut(self):
        (self.tmp / "a.onnx").write_bytes(b"")
        for path in (self.weights(), self.tmp / "a.onnx"):
            self.open(path)
            forms, page = self.page.forms, self.page
            self.until(lambda: page.form.isVisible())  # noqa: B023
            needed = page.form.minimumSizeHint().height()
            self.until(lambda: forms.parent().height() >= needed)  # noqa: B023

    def test_whole_network(self):
        torch.save(torch.nn.Linear(1, 1), self.tmp / "whole.pt")
        self.open(self.tmp / "whole.pt")
        self.page.form.name_edit.setText("torchvision:squeezenet1_1")
        self.use()
        assert "holds a pickled Python object" in self.problem()

    def test_folder(self):
        timm = pytest.importorskip("timm")
        folder = self.tmp / "birds"
        model = timm.create_model("resnet10t", num_classes=3)
        timm.models.save_for_hf(model, str(folder))
        self.monkeypatch.setattr(
            QFileDialog, "getExistingDirectory", lambda *_: str(folder)
        )
        self.open()
        self.page.folder_button.click()
        self.until(lambda: not self.page._reading.busy)
        assert "The folder says" in self.page.source_label.text()
        self.use()
        assert self.taken == [Choice.of_file(str(folder))]
        assert self.taken[0].is_file


class TestTrust(FromFile):
    """Files that can run code."""

    @pytest.fixture(autouse=True)
    def harmful(self, tmp_path, nothing_trusted):
        self.mark = tmp_path / "sprung"
        self.path = make_harmful_file(tmp_path / "cells.pt2", self.mark)
        written = {"size": 40, "mean": [0.5] * 3, "std": [0.5] * 3}
        (tmp_path / "cells.json").write_text(json.dumps(written))

    def ask(self):
        self.open(self.path)
        assert not self.mark.exists()
        self.dialog.use_button.click()
        self.until(lambda: self.page.question is not None)
        return self.page.question

    def answer(self, role):
        question = self.page.question
        (button,) = (b for b in question.buttons() if question.buttonRole(b) == role)
        button.click()
        self.until(lambda: not self.page.is_busy and self.page.question is None)

    def test_question(self):
        question = self.ask()
        assert not self.mark.exists()
        text = question.text() + question.informativeText()
        for part in (
            self.path,
            f"Size: {os.path.getsize(self.path) / 1e3:.1f} kB",
            "Last changed: 20",
            "You have chosen it.",
            "can run any program as you",
            "this computer",
        ):
            assert part in text
        assert question.textFormat() == Qt.PlainText
        assert question.defaultButton().text() == "Don't Open"
        assert question.escapeButton().text() == "Don't Open"

    def test_enter_opens_nothing(self):
        QTest.keyClick(self.ask(), Qt.Key_Return)
        self.until(lambda: self.page.question is None)
        assert not self.mark.exists()
        assert not self.taken

    def test_no(self):
        self.ask()
        self.answer(QMessageBox.RejectRole)
        assert not self.mark.exists() and not self.taken
        assert "can run any program" in self.problem()
        assert self.dialog.use_button.isEnabled()

    def test_yes(self):
        self.ask()
        self.answer(QMessageBox.AcceptRole)
        self.until(lambda: self.taken)
        assert self.mark.exists()
        assert self.taken[0].model == self.path
        # It is not asked again.
        self.open(self.path)
        self.use()
        assert self.taken

    def test_swapped_while_it_is_asked(self):
        self.ask()
        other = self.tmp / "other mark"
        make_harmful_file(self.path, other)
        first = self.page.question
        (yes,) = (
            b for b in first.buttons() if first.buttonRole(b) == QMessageBox.AcceptRole
        )
        yes.click()
        self.until(lambda: self.page.question not in (None, first))
        assert not other.exists() and not self.mark.exists()
        self.answer(QMessageBox.RejectRole)
        assert not self.taken

    def test_closed_while_it_is_asked(self):
        self.ask()
        self.dialog.reject()
        QTest.qWait(20)
        assert not self.mark.exists() and not self.taken

    def test_names_that_would_mislead(self):
        needed = TrustNeededError("/a/<b>x\u202egnp.pt\n2", "0" * 64, 5, 0)
        question = ask_to_trust(None, needed, True, lambda _: None)
        text = question.text() + question.informativeText() + question.windowTitle()
        assert "\u202e" not in text and "pt\n2" not in text
        assert "<b>" in text and question.textFormat() == Qt.PlainText
        assert "The workflow asks for it" in text
        assert "Last changed" not in text  # which is unknown
        question.reject()
