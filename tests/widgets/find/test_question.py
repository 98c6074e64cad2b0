import os

import pytest
from Orange.data import Table

from orangecontrib.imageanalytics.find_images import Description
from orangecontrib.imageanalytics.widgets.find.question import (
    Question,
    Sorting,
    are_lines,
    class_names_of,
    descriptions_of,
    examples_located,
    examples_to_save,
)


def test_blank_lines_are_no_descriptions():
    lines = [(" a dog ", 2.0, False), ("  ", 1.0, False), ("a drawing", 1.0, True)]
    assert descriptions_of(lines) == (
        Description("a dog", 2.0),
        Description("a drawing", 1.0, True),
    )


@pytest.mark.parametrize("weight", [0, -1, 11, float("nan"), float("inf")])
def test_weights_that_cannot_be_used(weight):
    assert are_lines([("a dog", 1.0, False)])
    assert not are_lines([("a dog", 1.0, False), ("a cat", weight, False)])


def test_class_names():
    assert class_names_of("cat\n\n dog \ncat\n") == ("cat", "dog")
    assert class_names_of("") == ()


def test_what_is_nothing_to_look_for():
    assert not Question()
    assert Question(examples=("a.jpg",))
    assert Question((Description("a dog"),))
    assert Question(like=Table("iris")[:1])
    assert not Sorting(("cat",))
    assert Sorting(("cat", "dog"))
    assert Sorting(("cat",), least=1)


def test_examples_beside_the_workflow(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "looks").mkdir(parents=True)
    inside, outside = str(here / "looks" / "a.png"), str(tmp_path / "b.png")
    for path in (inside, outside):
        with open(path, "wb"):
            pass
    places = [("basedir", str(here))]
    address = "https://example.com/c.jpg"
    examples = [(inside, "", ""), (outside, "", ""), (address, "", "")]
    saved = examples_to_save(examples, places)
    assert saved[0] == (inside, "basedir", "looks/a.png")
    assert saved[2] == (address, "", "")
    assert [source for source, *_ in examples_located(saved, places)] == [
        inside,
        outside,
        address,
    ]
    os.rename(here, there)
    located = examples_located(saved, [("basedir", str(there))])
    assert [source for source, *_ in located] == [
        str(there / "looks" / "a.png"),
        outside,
        address,
    ]
    # Where there is nothing, messages name the place that was saved.
    nowhere = examples_located(saved, [("basedir", str(tmp_path / "nowhere"))])
    assert nowhere[0][0] == inside
    # A workflow that came with its images has no more than the relative path.
    page = [(f"{inside}#page=2", "basedir", "looks/a.png#page=2")]
    ((found, *_),) = examples_located(page, [("basedir", str(there))])
    assert found == str(there / "looks" / "a.png#page=2")
    portable = [("", "basedir", "looks/a.png")]
    (found,) = examples_located(portable, [("basedir", str(there))])
    assert found[0] == str(there / "looks" / "a.png")
    assert examples_located(portable, []) == portable
