import pytest
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.embedding.embedding_status import (
    EmbeddingStatus,
    summary,
)
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    Progress,
    Result,
)


@pytest.mark.parametrize(
    "n_embedded, n_skipped, n_cached, seconds, text",
    [
        (1, 0, 0, 0.01, "1 image embedded in 0.1 s"),
        (6000, 0, 0, 75, "6,000 images embedded in 1 min 15 s"),
        (
            5,
            1,
            2,
            3.14,
            '5 images embedded in 3.1 s, <a href="#skipped">1 skipped</a><br/>'
            "2 had been embedded before",
        ),
        (0, 3, 0, 1, 'No image was embedded, <a href="#skipped">3 skipped</a>'),
    ],
)
def test_summary(n_embedded, n_skipped, n_cached, seconds, text):
    result = Result(
        facts=None,
        embedded=[None] * n_embedded or None,
        skipped=None,
        skipped_images=[("a.png", "file not found")] * n_skipped,
        device="CPU",
        seconds=seconds,
        n_cached=n_cached,
    )
    assert summary(result) == text


class TestEmbeddingStatus(GuiTest):
    def setUp(self):
        super().setUp()
        self.status = EmbeddingStatus()
        self.parts = {
            "bar": self.status.progress_bar,
            "download": self.status.download_button,
            "open": self.status.open_button,
        }

    def shown(self):
        return [name for name, part in self.parts.items() if not part.isHidden()]

    def test_one_thing_at_a_time(self):
        status = self.status
        status.show_text("Done.")
        assert self.shown() == []
        status.show_progress(Progress("Working…"))
        assert self.shown() == ["bar"]
        assert status.progress_bar.maximum() == 0  # of unknown length
        status.show_progress(Progress("Working…", 0.5))
        assert status.progress_bar.value() == status.progress_bar.maximum() / 2
        status.offer_download("It is missing.", "5 MB")
        assert self.shown() == ["download"]
        assert status.download_button.text() == "Download (5 MB)…"
        status.offer_to_open("It is not open.")
        assert self.shown() == ["open"]
        assert status.text == "It is not open."

    def test_buttons_and_link(self):
        heard = []
        self.status.skipped_asked.connect(lambda: heard.append("skipped"))
        self.status.download_asked.connect(lambda: heard.append("download"))
        self.status.open_asked.connect(lambda: heard.append("open"))
        self.status.label.linkActivated.emit("#skipped")
        self.status.download_button.click()
        self.status.open_button.click()
        assert heard == ["skipped", "download", "open"]

    def test_it_keeps_its_height(self):
        self.status.show_text("One line.")
        height = self.status.heightForWidth(400)
        for text in ("One line.", "One line,<br/>and another."):
            self.status.show_progress(Progress(text))
            assert self.status.heightForWidth(400) == height
            self.status.show_text(text)
            assert self.status.heightForWidth(400) == height

    def test_progress_is_named(self):
        assert self.status.progress_bar.accessibleName()
