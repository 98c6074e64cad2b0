"""Probabilities of classes that are described by words; vectors are made up."""

import math
import pickle

import numpy as np
import pytest

from orangecontrib.imageanalytics.find_images import TEMPLATES, WordClasses
from orangecontrib.imageanalytics.find_images.classes import as_templates

VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)


class StandInEncoder:
    """The vector of a text is the number of its letters and of its words."""

    scoring, score_scale, score_bias = "softmax", 10.0, 0.0

    def __init__(self, **attributes):
        self.texts = []
        self.__dict__.update(attributes)

    def encode(self, texts, callback=None):
        self.texts += texts
        vectors = np.array([[len(t), len(t.split())] for t in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make(names=("cat", "dog"), sign=1, scale=10.0, **options):
    return WordClasses(names, sign * np.eye(2), scale, **options)


def test_softmax():
    probabilities = make().probabilities(VECTORS)
    exponentials = np.exp(10 * VECTORS)
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)


def test_sigmoid():
    probabilities = make(bias=-2.0, scoring="sigmoid").probabilities(VECTORS)
    expected = 1 / (1 + np.exp(-(10 * VECTORS - 2)))
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5)
    assert not np.allclose(probabilities.sum(axis=1), 1)


def test_the_most_probable():
    classes = make()
    assert classes.values == ("cat", "dog")
    assert classes.indices(classes.probabilities(VECTORS)).tolist() == [0, 1, 1]


def test_below_the_threshold_it_is_another():
    classes = make(threshold=0.95, other="neither")
    assert classes.values == ("cat", "dog", "neither")
    assert classes.indices(classes.probabilities(VECTORS)).tolist() == [0, 1, 2]


def test_names_go_into_templates():
    encoder = StandInEncoder(score_bias=1.5)
    classes = WordClasses.of(encoder, [" cat", "lap dog"], ("a {}.", "{} and {}"))
    assert encoder.texts == [
        "a cat.",
        "cat and cat",
        "a lap dog.",
        "lap dog and lap dog",
    ]
    vectors = StandInEncoder().encode(encoder.texts)
    means = [vectors[:2].mean(axis=0), vectors[2:].mean(axis=0)]
    expected = [mean / np.linalg.norm(mean) for mean in means]
    np.testing.assert_allclose(classes.vectors, expected, rtol=1e-5)
    assert classes.names == ("cat", "lap dog")
    assert (classes.scale, classes.bias, classes.scoring) == (10, 1.5, "softmax")


def test_names_with_braces_are_taken_as_they_are():
    encoder = StandInEncoder()
    WordClasses.of(encoder, ["{0}", "{x"], "none")
    assert encoder.texts == ["{0}", "{x"]


def test_templates():
    assert as_templates("photo") == ("a photo of a {}.",)
    assert as_templates("ein Foto: {}") == ("ein Foto: {}",)
    for texts in TEMPLATES.values():
        assert as_templates(texts) == texts
    with pytest.raises(ValueError, match="'a photo' has no "):
        as_templates(["{}", "a photo"])
    with pytest.raises(ValueError, match="no templates"):
        as_templates([])


def test_the_ensemble_is_that_of_open_clip():
    open_clip = pytest.importorskip("open_clip")
    theirs = [template("x") for template in open_clip.SIMPLE_IMAGENET_TEMPLATES]
    assert [text.replace("{}", "x") for text in TEMPLATES["ensemble"]] == theirs


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no names"),
        (["cat"], "at least two"),
        ("cat", "at least two"),
        (["cat", " "], "empty"),
        (["cat", "dog", "cat "], "cat is listed twice"),
    ],
)
def test_names_that_make_no_classes(names, reason):
    encoder = StandInEncoder()
    with pytest.raises(ValueError, match=reason):
        WordClasses.of(encoder, names)
    assert not encoder.texts  # it is said before anything is encoded


def test_one_class_is_enough_for_a_sigmoid():
    classes = WordClasses.of(StandInEncoder(scoring="sigmoid"), ["cat"], threshold=0.5)
    assert classes.values == ("cat", "other")
    assert classes.probabilities(VECTORS).shape == (3, 1)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan])
def test_thresholds_that_are_no_probabilities(threshold):
    with pytest.raises(ValueError, match="between 0 and 1"):
        make(threshold=threshold)


def test_the_others_need_a_name_of_their_own():
    with pytest.raises(ValueError, match="other"):
        make(("cat", "other"), threshold=0.5)
    assert make(("cat", "other")).values == ("cat", "other")


def test_equal_by_content_also_when_pickled():
    classes = make(threshold=0.5)
    again = pickle.loads(pickle.dumps(classes))
    assert again == classes and hash(again) == hash(classes)
    others = (
        make(),
        make(threshold=0.6),
        make(threshold=0.5, other="none"),
        make(("cat", "cow"), threshold=0.5),
        make(sign=-1, threshold=0.5),
        make(scale=5.0, threshold=0.5),
        make(scoring="sigmoid", threshold=0.5),
        make(bias=1.0, threshold=0.5),
    )
    for other in others:
        assert other != classes
