"""Scores of images for descriptions and examples; vectors are made up."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from orangecontrib.imageanalytics.find_images import (
    Description,
    Query,
    as_descriptions,
    best_first,
)

VECTORS = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0.8, 0], [0, 0, -1]], np.float32)
CAT, DRAWING = Description("a cat"), Description("a drawing", 0.5, negative=True)
TEXTS = np.array([[2, 0, 0], [0, 3, 0]])


def cosine(one, other):
    return np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other))


# Descriptions -----------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_blank_descriptions_are_refused(text):
    with pytest.raises(ValueError, match="description is empty"):
        Description(text)
    with pytest.raises(ValueError, match="description is empty"):
        as_descriptions(["a cat", text])


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf])
def test_weights_that_are_no_weights(weight):
    with pytest.raises(ValueError, match="weight"):
        Description("a cat", weight)
    with pytest.raises(ValueError, match="weight"):
        Query(examples=VECTORS[:1], examples_weight=weight)


def test_texts_become_descriptions():
    assert as_descriptions(" a cat ") == (Description("a cat"),)
    assert as_descriptions(DRAWING) == (DRAWING,)
    assert as_descriptions(["a cat", DRAWING]) == (CAT, DRAWING)
    assert as_descriptions([]) == ()


def test_descriptions_as_text():
    assert str(CAT) == "a cat"
    assert str(DRAWING) == "not a drawing (0.5)"
    query = Query((CAT, DRAWING), TEXTS, VECTORS[:2])
    assert str(query) == "a cat, not a drawing (0.5), like 2 images"
    assert str(Query(examples=VECTORS[:1])) == "like 1 image"


# Scores -----------------------------------------------------------------------------


def test_one_description_gives_cosine_similarities():
    scores = Query([CAT], TEXTS[:1]).scores(VECTORS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(
        scores, [cosine(vector, TEXTS[0]) for vector in VECTORS], atol=1e-6
    )


def test_weights_and_negative_descriptions():
    scores = Query([CAT, DRAWING], TEXTS).scores(VECTORS)
    expected = [
        (cosine(vector, TEXTS[0]) - 0.5 * cosine(vector, TEXTS[1])) / 1.5
        for vector in VECTORS
    ]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_examples_are_their_mean():
    examples = np.array([[5, 0, 0], [0, 0.1, 0]])  # of other lengths
    scores = Query(examples=examples).scores(VECTORS)
    expected = [cosine(vector, [1, 1, 0]) for vector in VECTORS]
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_words_and_examples_together():
    query = Query([CAT], TEXTS[:1], VECTORS[1:2], examples_weight=3)
    expected = [
        (cosine(vector, TEXTS[0]) + 3 * cosine(vector, VECTORS[1])) / 4
        for vector in VECTORS
    ]
    np.testing.assert_allclose(query.scores(VECTORS), expected, atol=1e-6)


def test_examples_that_are_repeated_count_once():
    once = Query(examples=VECTORS[:2])
    twice = Query(examples=VECTORS[[0, 1, 0, 0]])
    assert once == twice
    np.testing.assert_array_equal(once.scores(VECTORS), twice.scores(VECTORS))


def test_an_example_without_direction_gives_zero():
    scores = Query(examples=np.zeros((1, 3))).scores(VECTORS)
    np.testing.assert_array_equal(scores, np.zeros(4))


def test_vectors_of_another_network_are_refused():
    query = Query(examples=VECTORS[:1])
    with pytest.raises(ValueError, match=r"have 5 numbers, but .* have 3"):
        query.scores(np.zeros((2, 5), np.float32))


def test_no_vectors():
    assert Query(examples=VECTORS[:1]).scores(np.zeros((0, 0))).shape == (0,)


def test_nothing_to_search_for():
    with pytest.raises(ValueError, match="nothing to search for"):
        Query()
    with pytest.raises(ValueError, match="weights are 0"):
        Query([Description("a cat", 0)], TEXTS[:1])
    with pytest.raises(ValueError, match="weights are 0"):
        Query(examples=VECTORS[:1], examples_weight=0)
    with pytest.raises(ValueError, match="differ in length"):
        Query([CAT], TEXTS[:1], np.ones((1, 5)))
    with pytest.raises(ValueError, match="should have a vector"):
        Query([CAT, DRAWING], TEXTS[:1])


# Equality and pickles ---------------------------------------------------------------


def test_equal_by_content():
    one = Query([CAT, DRAWING], TEXTS, VECTORS[:2])
    other = Query((CAT, DRAWING), TEXTS.copy(), VECTORS[:2].copy())
    assert one == other and hash(one) == hash(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"descriptions": (CAT, Description("a drawing"))},
        {"examples": VECTORS[:1]},
        {"texts": TEXTS[::-1]},
        {"examples_weight": 2.0},
    ],
    ids=str,
)
def test_different_by_content(changes):
    query = Query([CAT, DRAWING], TEXTS, VECTORS[:2])
    assert query != dataclasses.replace(query, **changes)
    assert query != "a cat"


def test_a_pickle_is_small_and_gives_the_same():
    random = np.random.default_rng(0)
    query = Query(examples=random.normal(size=(3, 1280)))
    vectors = random.normal(size=(5, 1280)).astype(np.float32)
    scores = query.scores(vectors)  # what this computes is not in the pickle
    content = pickle.dumps(query)
    assert len(content) < 3 * 1280 * 4 + 1000
    again = pickle.loads(content)
    assert again == query and hash(again) == hash(query)
    np.testing.assert_array_equal(again.scores(vectors), scores)


# The best ---------------------------------------------------------------------------

SCORES = np.array([0.1, np.nan, 0.9, 0.5, 0.9, -0.3], np.float32)


@pytest.mark.parametrize(
    ("top", "threshold", "rows"),
    [
        (None, None, [2, 4, 3, 0, 5]),
        (1, None, [2]),
        (2, None, [2, 4]),
        (99, None, [2, 4, 3, 0, 5]),
        (None, 0.5, [2, 4, 3]),
        (1, 0.5, [2]),
        (None, 0.95, []),
        (None, -math.inf, [2, 4, 3, 0, 5]),
    ],
)
def test_best_first(top, threshold, rows):
    assert best_first(SCORES, top, threshold).tolist() == rows


def test_best_of_many_with_equal_scores():
    scores = np.random.default_rng(0).integers(0, 20, 1000).astype(np.float32)
    expected = np.argsort(-scores, kind="stable")
    for top in (1, 10, 333, 1000):
        np.testing.assert_array_equal(best_first(scores, top), expected[:top])


@pytest.mark.parametrize("top", [0, -1, 1.5, math.nan])
def test_top_is_a_number_of_images(top):
    with pytest.raises(ValueError, match="top should be a whole number"):
        best_first(SCORES, top)


def test_a_threshold_is_a_number():
    with pytest.raises(ValueError, match="threshold should be a number"):
        best_first(SCORES, threshold=math.nan)
