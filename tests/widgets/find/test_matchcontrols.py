from types import SimpleNamespace

import pytest

from orangecontrib.imageanalytics.widgets.find.matchcontrols import (
    COUNTS,
    MatchControls,
)


def made(**settings):
    owner = SimpleNamespace(
        limit_by="best", count=50, least_score=None, other_below=0.0
    )
    vars(owner).update(settings)
    controls = MatchControls(owner)
    controls.changes = []
    controls.limit_changed.connect(lambda: controls.changes.append("limit"))
    controls.other_changed.connect(lambda: controls.changes.append("other"))
    return owner, controls


def choose(controls, limit):
    combo = controls.limit_combo
    combo.setCurrentIndex(combo.findData(limit))
    combo.activated.emit(combo.currentIndex())


def test_every_number_is_reached():
    owner, controls = made(count=1)
    slider = controls.limit_slider.slider
    for place, count in enumerate(COUNTS):
        slider.setValue(place)
        assert owner.count == count
        assert controls.limits() == (count, None)
        assert controls.limit_slider.label.text() == f"{count:,}"
    assert slider.value() == slider.maximum()
    assert controls.changes == ["limit"] * (len(COUNTS) - 1)


def test_scores():
    owner, controls = made()
    controls.show_scores(0.1234, 0.5678)
    choose(controls, "score")
    assert controls.limits() == (None, None)
    controls.start_from(0.4)
    assert controls.limits() == (None, 0.4)
    slider = controls.limit_slider.slider
    assert (slider.minimum(), slider.value(), slider.maximum()) == (123, 400, 567)
    slider.setValue(300)
    assert controls.limits() == (None, 0.3)
    assert controls.report() == "from a score of 0.300"
    controls.start_from(0.2)  # one was chosen
    assert owner.least_score == 0.3
    # Other scores do not change what was chosen.
    before = list(controls.changes)
    controls.show_scores(0.6, 0.9)
    assert owner.least_score == 0.3
    assert slider.minimum() == 300
    assert controls.changes == before


def test_range_of_the_slider_contains_all_images():
    _, controls = made(limit_by="score", least_score=0.0)
    controls.show_scores(-0.0004, 0.0006)
    assert controls.limit_slider.slider.minimum() / 1000 <= -0.0004


def test_settings_are_shown():
    _, controls = made(count=7, other_below=0.25)
    assert controls.limit_slider.label.text() == "7"
    assert controls.other_slider.label.text() == "25%"
    assert controls.report() == "the best 7"
    assert controls.changes == []


def test_other():
    owner, controls = made()
    assert controls.other_slider.label.text() == "none"
    controls.other_slider.slider.setValue(40)
    assert owner.other_below == pytest.approx(0.4)
    assert controls.changes == ["other"]


def test_what_is_shown_of_each_mode():
    _, controls = made()
    for sorting in (True, False):
        controls.show_sorting(sorting)
        assert controls.limit_combo.isHidden() is sorting
        assert controls.limit_slider.isHidden() is sorting
        assert controls.other_slider.isHidden() is not sorting
