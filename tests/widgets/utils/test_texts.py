from orangecontrib.imageanalytics.widgets.utils.texts import capitalized


def test_capitalized():
    assert capitalized("before the classifier") == "Before the classifier"
    assert capitalized("vor dem Klassifikator") == "Vor dem Klassifikator"
    assert capitalized("") == ""
