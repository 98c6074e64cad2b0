import numpy as np
import pytest
from explaining import SPEC, images_table, training_data
from Orange.base import Model
from Orange.classification import (
    KNNLearner,
    LinearSVMLearner,
    LogisticRegressionLearner,
    RandomForestLearner,
    SVMLearner,
)
from Orange.data import ContinuousVariable, Domain, Table
from Orange.preprocess import Discretize, Normalize
from Orange.preprocess.discretize import EqualFreq
from Orange.projection import PCA
from Orange.regression import (
    LassoRegressionLearner,
    LinearRegressionLearner,
    MeanLearner,
    RidgeRegressionLearner,
    SVRLearner,
)

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.explain.models import (
    ExplainedModel,
    find_embeddings,
    table_embeddings,
)

COMPUTE = EmbedImages.of(SPEC, "image")


def explained(learner, data, table=None):
    images = images_table(["a.png", "b.png"]) if table is None else table
    return ExplainedModel(learner(data), images)


def some_vectors(n=5):
    return np.random.default_rng(1).random((n, 6)).astype(np.float32)


def expected_of(model, vectors):
    """What a model says of vectors that are plain columns."""
    names = [f"n{index}" for index in range(vectors.shape[1])]
    data = training_data()
    data = Table.from_numpy(Domain(data.domain.attributes), vectors)
    assert [variable.name for variable in data.domain.attributes] == names
    what = Model.Probs if model.domain.class_var.is_discrete else Model.Value
    return model(data, what).reshape(len(vectors), -1)


LINEAR = [
    (LogisticRegressionLearner(), True, 2),
    (LogisticRegressionLearner(), True, 3),
    (LogisticRegressionLearner(preprocessors=[Normalize()]), True, 3),
    (LinearSVMLearner(), True, 3),
    (SVMLearner(kernel="linear"), True, 2),
    (SVMLearner(kernel="linear"), True, 3),
    (LinearRegressionLearner(), False, 2),
    (RidgeRegressionLearner(preprocessors=[Normalize()]), False, 2),
    (LassoRegressionLearner(alpha=0.001), False, 2),
    (SVRLearner(kernel="linear"), False, 2),
]


@pytest.mark.parametrize("learner, is_class, n_classes", LINEAR)
def test_linear_models(learner, is_class, n_classes):
    data = training_data(is_class, n_classes=n_classes)
    model = explained(learner, data)
    vectors = some_vectors(40)
    results = model.results(0, vectors)
    np.testing.assert_allclose(results, expected_of(model.model, vectors), atol=1e-6)
    weights = model.linear_weights(0, vectors)
    assert weights.shape == (6, n_classes if is_class else 1)
    scores = vectors @ weights
    if is_class:
        # The class whose score rises most is the one whose probability rises.
        change = np.argmax(weights[0] + weights[3])
        assert change == n_classes - 1
        if n_classes == 2:
            margin = scores[:, 1] - scores[:, 0]
            assert (np.diff(results[np.argsort(margin), 1]) > -1e-9).all()
    else:
        difference = results[:, 0] - scores[:, 0]
        np.testing.assert_allclose(difference, difference[0], atol=1e-4)


def test_weights_after_a_projection():
    data = training_data()
    components = data.transform(
        Domain(
            PCA(n_components=4)(data)(data).domain.attributes, data.domain.class_vars
        )
    )
    model = explained(LogisticRegressionLearner(), components)
    assert model.compute == COMPUTE
    assert model.linear_weights(0, some_vectors()).shape == (6, 2)


@pytest.mark.parametrize(
    "learner, is_class",
    [
        (RandomForestLearner(n_estimators=3), True),
        (KNNLearner(), True),
        (SVMLearner(), True),
        (LogisticRegressionLearner(preprocessors=[Discretize(EqualFreq(n=2))]), True),
        (MeanLearner(), False),
    ],
)
def test_other_models(learner, is_class):
    model = explained(learner, training_data(is_class))
    assert model.linear_weights(0, some_vectors(20)) is None
    results = model.results(np.array([0, 1, 0]), some_vectors(3))
    assert results.shape == (3, 2 if is_class else 1)


def test_other_columns_are_kept():
    data = training_data(False)
    size = ContinuousVariable("size")
    domain = Domain((*data.domain.attributes, size), data.domain.class_var)
    random = np.random.default_rng(0)
    sizes = random.random((len(data), 1))
    both = Table.from_numpy(domain, np.hstack([data.X, sizes]), sizes[:, 0] * 3)
    images = images_table(["a.png", "b.png"], [size], np.array([[0.2], [0.9]]))
    model = explained(LinearRegressionLearner(), both, images)
    results = model.results(np.array([0, 1]), some_vectors(2))
    np.testing.assert_allclose(results[:, 0], [0.6, 2.7], atol=0.05)


def test_vectors_in_the_table_are_not_taken():
    data = training_data(False)
    model = explained(LinearRegressionLearner(), data, data)
    vectors = some_vectors(4)
    np.testing.assert_allclose(
        model.results(3, vectors), expected_of(model.model, vectors), atol=1e-6
    )


def test_derived_columns_in_the_table_are_not_taken():
    data = Normalize()(training_data(False))
    model = explained(LinearRegressionLearner(), data, data)
    few = model.results(3, some_vectors(4))
    assert np.ptp(few) > 0.1


def test_find_embeddings():
    data = training_data()
    assert find_embeddings(list(data.domain.attributes)) == [COMPUTE]
    assert table_embeddings(data) == [COMPUTE]
    assert find_embeddings(list(Normalize()(data).domain.attributes)) == [COMPUTE]
    assert find_embeddings(list(Table("iris").domain.attributes)) == []
    assert table_embeddings(Table("iris")) == []


def test_models_that_know_no_images():
    images = images_table(["a.png"])
    with pytest.raises(ValueError, match="not trained on vectors of Image Embedding"):
        ExplainedModel(LogisticRegressionLearner()(Table("iris")), images)
    data = training_data()
    domain = data.domain
    data = data.transform(Domain(domain.attributes))
    with pytest.raises(ValueError, match="one class or number"):
        ExplainedModel(PCA(n_components=2)(data), images)
