from orangecontrib.imageanalytics.widgets.utils.tooltips import plain_tooltip


def test_nothing_is_taken_for_html():
    assert plain_tooltip("a <b>", "c & d") == "<qt>a &lt;b&gt;<br>c &amp; d</qt>"


def test_no_text_is_no_tooltip():
    assert plain_tooltip("") == plain_tooltip() == ""
