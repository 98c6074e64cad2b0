from orangecontrib.imageanalytics.find_images import TEMPLATES
from orangecontrib.imageanalytics.widgets.find.classnames import (
    TEMPLATE_NAMES,
    ClassNames,
)


def test_all_templates_are_offered():
    assert {key for _, key in TEMPLATE_NAMES} == set(TEMPLATES)


def test_names():
    part = ClassNames()
    changes = []
    part.changed.connect(lambda: changes.append(part.names))
    part.edit.setPlainText("cat\n\n dog\ncat")
    assert changes[-1] == ["cat", "dog"]
    part.set_templates("none")
    assert part.templates == "none"
    assert len(changes) == 1


def test_classes_of_the_data():
    part = ClassNames()
    assert not part.data_button.isEnabled()
    part.offer_classes(["cat", "dog"])
    assert part.data_button.isEnabled()
    assert "cat, dog" in part.data_button.toolTip()
    part.offer_classes([str(number) for number in range(10_000)])
    assert len(part.data_button.toolTip()) <= 300
    part.offer_classes([])
    assert not part.data_button.isEnabled()
