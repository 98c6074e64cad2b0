from orangecontrib.imageanalytics.widgets.folders.reading_status import ReadingStatus


def test_text_progress_and_news():
    status = ReadingStatus()
    told = []
    status.cancelled.connect(lambda: told.append("cancelled"))
    status.news_asked.connect(lambda: told.append("news"))
    status.link.connect(told.append)
    status.show_text('<a href="#x">x</a>')
    assert not status.busy
    status.label.linkActivated.emit("#x")
    status.show_progress(30, "30 of 100 files")
    assert status.busy and status.bar.value() == 30
    assert status.progress_label.text() == "30 of 100 files"
    status.cancel_button.click()
    assert not status.news_button.isVisibleTo(status)
    status.show_news("2 new images")
    assert status.news_button.isVisibleTo(status)
    status.news_button.click()
    assert told == ["#x", "cancelled", "news"]
    status.show_news("")
    assert not status.news_button.isVisibleTo(status)
