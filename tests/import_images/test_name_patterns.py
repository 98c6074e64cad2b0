import re
import time

import pytest

from orangecontrib.imageanalytics.import_images import NamePattern, PatternError
from orangecontrib.imageanalytics.import_images.name_patterns import (
    LONGEST,
    SECONDS,
    count_classes,
)


@pytest.mark.parametrize(
    ("pattern", "classes"),
    [
        (
            "start",
            {
                "cat_001.jpg": "cat",
                "cat001.jpg": "cat",
                "cat (2).jpg": "cat",
                "t-shirt-2.jpg": "t-shirt",
                "fire_truck_2.jpg": "fire",
                "red fox 2.jpg": "red fox",
                "mačka_1.png": "mačka",
                "cat.jpg": "cat",
                "001.jpg": None,
                "_1.jpg": None,
                ".jpg": "jpg",
            },
        ),
        (
            "before-number",
            {
                "cat_001.jpg": "cat",
                "fire_truck_12.jpg": "fire_truck",
                "fire_truck12.jpg": "fire_truck",
                "fire truck (3).jpg": "fire truck",
                "2 cats 3.jpg": "2 cats",
                "cat.jpg": "cat",
                "12.jpg": None,
            },
        ),
        (
            "after-number",
            {
                "025_European_fire_salamander.JPEG": "European_fire_salamander",
                "12. cat.jpg": "cat",
                "1cat.jpg": "cat",
                "cat_1.jpg": None,
                "12.jpg": None,
            },
        ),
        (
            "{class}_*",
            {"cat_001.jpg": "cat", "fire_truck_1.jpg": "fire", "cat.jpg": None},
        ),
        (
            "{class}_*.jpg",
            {"cat_001.jpg": "cat", "cat_1.JPG": "cat", "cat_1.png": None},
        ),
        ("{class}_#", {"fire_truck_12.jpg": "fire_truck", "cat_a.jpg": None}),
        ("*_{class}", {"1_2_cat.jpg": "cat", "cat.jpg": None}),
        ("IMG-{CLASS}-??", {"img-Cat-01.jpg": "Cat", "img-Cat-001.jpg": None}),
        ("[{class}](*)", {"[cat](1).jpg": "cat", "cat.jpg": None}),
        (" {class} * ", {"a cat.jpg": "a"}),
        (
            r"^(?P<class>[a-z]+)\d+\.jpg$",
            {"cat1.jpg": "cat", "Cat1.jpg": None, "cat1.png": None},
        ),
        (r"(?<class>b)?", {"b.jpg": "b", "a.jpg": None}),
        (re.compile("(?P<class>cat|dog)", re.IGNORECASE), {"1 CAT.png": "CAT"}),
    ],
)
def test_class_of(pattern, classes):
    found = NamePattern(pattern)
    assert {name: found.class_of(name) for name in classes} == classes


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("cat_*", "no {class} in the pattern"),
        ("{clas}_*", "{clas} is not known"),
        ("{class}_{number}", "{number} is not known"),
        ("{class}_{class}", "more than one {class}"),
        ("(?P<class>[a-z+", "not valid: .* at position"),
        ("(?P<kind>[a-z]+)", "has no group"),
        ("(?P<class>" + 400 * "(" + 80 * ")", "not valid|complicated"),
        ("{class}" + LONGEST * "*", f"longer than {LONGEST}"),
        (re.compile(b"(?P<class>a)"), "is empty"),
    ],
)
def test_bad_patterns(pattern, message):
    with pytest.raises(PatternError, match=message):
        NamePattern(pattern)
    assert issubclass(PatternError, ValueError)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?P<class>(?:(?:a{1,3000}){1,3000}){1,3000})b",
        "(?P<class>(?R)*a)",
    ],
)
def test_patterns_that_would_take_for_ever(pattern):
    start = time.process_time()
    with pytest.raises(PatternError, match="takes too long for the name aaa"):
        NamePattern(pattern).class_of(250 * "a" + "c !b.jpg")
    assert time.process_time() - start < 20 * SECONDS


def test_templates_take_no_longer():
    template = NamePattern("{class}" + 60 * "*a" + "?c")
    # Either it is found in time that it does not match, or it is given up.
    try:
        assert template.class_of(250 * "a" + "c !b.jpg") is None
    except PatternError as error:
        assert "takes too long" in str(error)


def test_equality():
    assert NamePattern("{class}_*") == NamePattern("{class}_*")
    assert hash(NamePattern("start")) == hash(NamePattern("start"))
    assert NamePattern("{class}_*") != NamePattern("{class}-*")


def test_count_classes():
    names = ["cat_1.jpg", "dog_1.jpg", "cat_2.jpg", "notes.jpg"]
    found = count_classes(NamePattern("{class}_*"), names)
    assert found.counts == {"cat": 2, "dog": 1}
    assert found.examples == {"cat": "cat_1.jpg", "dog": "dog_1.jpg"}
    assert found.unmatched == ["notes.jpg"]
    assert count_classes(NamePattern("start"), names, lambda: True) is None
