import numpy as np
import pytest
from explaining import (
    PLACES,
    SPEC,
    composed,
    images_table,
    is_inside,
    training_data,
)
from Orange.classification import LogisticRegressionLearner, RandomForestLearner
from Orange.data import Domain, Table
from Orange.regression import LinearRegressionLearner
from PIL import Image

from orangecontrib.imageanalytics.embedding_columns import EmbedImages, append_vectors
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.explain import Explaining, explain_images
from orangecontrib.imageanalytics.explain.occlusion import LEVELS
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec


@pytest.fixture
def images(tmp_path, colours):
    return images_table(composed(tmp_path))


def model_of(learner=None, is_class=True):
    return (learner or LogisticRegressionLearner())(training_data(is_class))


@pytest.mark.parametrize("method", ["activation", "occlusion"])
@pytest.mark.parametrize("is_class", [True, False])
def test_finds_what_was_pasted(images, method, is_class):
    learner = LogisticRegressionLearner() if is_class else LinearRegressionLearner()
    model = model_of(learner, is_class)
    target = "red" if is_class else None
    result = explain_images(images, model, target, method)
    assert result.method == method and not result.failures
    for row, place in enumerate(PLACES):
        explanation = result.explanations[row]
        assert explanation.method == method and explanation.is_final
        assert explanation.target == (target or "")
        assert is_inside(explanation.heat_map.peak(), place)
        assert explanation.heat_map.size == (200, 100)


def test_the_map_adds_up_to_the_prediction(images):
    model = model_of(LinearRegressionLearner(), False)
    result = explain_images(images, model)
    constants = [
        explanation.result - explanation.heat_map.values.sum()
        for explanation in result.explanations.values()
    ]
    np.testing.assert_allclose(constants, model.skl_model.intercept_, atol=1e-5)


def test_the_predicted_class(images):
    model = model_of()
    result = explain_images(images, model)
    # They are mostly blue, so what is red does not speak for it.
    for row, place in enumerate(PLACES):
        explanation = result.explanations[row]
        assert explanation.target == "blue" and explanation.result > 0.5
        assert not is_inside(explanation.heat_map.peak(), place)


def test_other_models_are_explained_by_occlusion(images):
    model = model_of(RandomForestLearner(n_estimators=5, random_state=0))
    result = explain_images(images[:1], model)
    assert result.method == "occlusion" and "not linear" in result.reason
    with pytest.raises(ValueError, match="no exact map: the model is not linear"):
        explain_images(images[:1], model, method="activation")


def test_alike(images, tmp_path):
    (tmp_path / "other").mkdir()
    red = composed(tmp_path / "other", places=[(0, 0)] * 9)[0]
    Image.new("RGB", (50, 50), (250, 0, 0)).save(red)
    table = images_table([red, *images.metas[:, 0]])
    vectors = np.zeros((len(table), 6), np.float32)
    table = append_vectors(table, vectors, EmbedImages.of(SPEC, "image"))
    for method in ("activation", "occlusion"):
        result = explain_images(table, like=0, method=method)
        assert result.explanations[0].result == pytest.approx(1, abs=1e-5)
        assert result.result_name == "similarity"
        for row, place in enumerate(PLACES, 1):
            explanation = result.explanations[row]
            assert explanation.result < 0.99
            assert is_inside(explanation.heat_map.peak(), place)
            if method == "activation":
                total = explanation.heat_map.values.sum()
                assert total == pytest.approx(explanation.result, abs=1e-5)


def test_coarse_first_and_wanted_first(images):
    explaining = Explaining(images, model_of(), method="occlusion")
    steps = [
        (explanation.row, explanation.step)
        for new in explaining.run(first=lambda: 1)
        for explanation in new
    ]
    n = len(LEVELS)
    assert steps[:n] == [(1, step) for step in range(1, n + 1)]
    rest = [(row, step) for step in range(1, n + 1) for row in (0, 2)]
    assert steps[n:] == rest


def test_failures(images, tmp_path):
    sources = [*images.metas[:, 0], str(tmp_path / "missing.png"), ""]
    (tmp_path / "text.png").write_text("no image")
    sources.append(str(tmp_path / "text.png"))
    for method in ("activation", "occlusion"):
        result = explain_images(images_table(sources), model_of(), method=method)
        assert sorted(result.explanations) == [0, 1, 2]
        assert sorted(result.failures) == [3, 5]
        assert "not an image" in result.failures[5] or result.failures[5]
        table = result.explained()
        assert np.isnan(table.get_column("heat in the middle")[3:]).all()


@pytest.mark.parametrize("method", ["activation", "occlusion"])
def test_cancel(images, method):
    table = images_table(list(images.metas[:, 0]) * 20)
    explaining = Explaining(table, model_of(), method=method)
    with pytest.raises(Cancelled):
        for _ in explaining.run():
            explaining.cancel()
    assert 1 <= len(explaining.explanations) < len(table)
    assert len(explaining.explained()) == len(table)


def test_an_exception_of_the_callback_stops(images):
    def stop(fraction):
        assert 0 <= fraction <= 1
        if fraction > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        explain_images(images, model_of(), method="occlusion", callback=stop)


def test_table(images):
    table = explain_images(images, model_of(), "red").explained()
    names = [variable.name for variable in table.domain.metas]
    added = ["explained class", "probability", "heat in the middle", "heat at the rim"]
    assert names == ["image", *added]
    assert list(table.get_column("explained class")) == [1, 1, 1]
    middle, rim = (table.get_column(name) for name in added[2:])
    # The third is in the middle, the second at the rim.
    assert np.argmax(middle) == 2 and np.argmax(rim) == 1
    assert ((middle >= 0) & (rim >= 0) & (middle + rim <= 1 + 1e-9)).all()
    # The result is not lost if it is explained again.
    again = explain_images(table, model_of(), "red").explained()
    assert "heat in the middle (1)" in again.domain


def test_the_fit_of_the_vectors(tmp_path, colours):
    # The thing is at the right end, which the network sees if images are padded.
    path = composed(tmp_path, places=[(158, 30)])
    for fit, is_seen in (("pad", True), ("stretch", True), ("crop", False)):
        spec = EmbeddingSpec.choose("efficientnet-lite0", fit=fit)
        model = LogisticRegressionLearner()(training_data(spec=spec))
        for method in ("activation", "occlusion"):
            result = explain_images(images_table(path), model, "red", method)
            heat_map = result.explanations[0].heat_map
            assert is_inside(heat_map.peak(), (158, 30)) == is_seen
            assert heat_map.heat()[:, -5:].any() == is_seen


def test_a_rotated_photo(tmp_path, colours):
    (path,) = composed(tmp_path, places=[(150, 10)])
    turned = Image.open(path).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save(path, exif=exif)
    result = explain_images(images_table([path]), model_of(), "red")
    heat_map = result.explanations[0].heat_map
    assert heat_map.size == (200, 100) and is_inside(heat_map.peak(), (150, 10))


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "either a model or an image"),
        ({"model": True, "like": 0}, "either a model or an image"),
        ({"model": True, "method": "magic"}, "should be one of"),
        ({"model": True, "target": "green"}, "'green' is not a class of the model"),
        ({"like": 0, "column": "nothing"}, "no column 'nothing'"),
    ],
)
def test_wrong_arguments(images, options, message):
    if options.pop("model", False):
        options["model"] = model_of()
    with pytest.raises(ValueError, match=message):
        explain_images(images, **options)


def test_tables_without_images():
    with pytest.raises(ValueError, match="no column 'image'"):
        explain_images(Table("iris"), model_of())
    with pytest.raises(ValueError, match="no column that could name images"):
        explain_images(Table("iris"), like=0)


def test_nothing_to_compare_with(images, tmp_path):
    table = images_table([*images.metas[:, 0], "", str(tmp_path / "missing.png")])
    with pytest.raises(ValueError, match="no image in the row"):
        explain_images(table, like=3)
    with pytest.raises(ValueError, match=r"missing\.png cannot be compared"):
        explain_images(table, like=4)


def test_the_embedding_of_the_table(images):
    vectors = np.zeros((3, 6), np.float32)
    table = append_vectors(images, vectors, EmbedImages.of(SPEC, "image"))
    explaining = Explaining(table, like=0)
    assert explaining._spec.preprocessing.fit == "stretch"
    assert Explaining(images, like=0)._spec.preprocessing.fit == "crop"


def test_no_images_at_all(images):
    result = explain_images(images[:0], model_of())
    assert not result.explanations and len(result.explained()) == 0
    assert isinstance(result.explained().domain, Domain)


def test_with_a_real_network(tmp_path):
    paths = composed(tmp_path)
    paths += composed(tmp_path / ".", (255, 255, 0))
    table = images_table(paths)
    with ImageEmbedder() as embedder:
        embedded, _, _ = embedder(table)
    data = Table.from_numpy(
        Domain(embedded.domain.attributes, training_data(False).domain.class_var),
        embedded.X,
        np.arange(len(embedded)),
    )
    model = LinearRegressionLearner()(data)
    result = explain_images(table, model)
    assert result.method == "activation"
    for row, expected in enumerate(model(embedded)):
        explanation = result.explanations[row]
        assert explanation.result == pytest.approx(expected, abs=0.02)
        total = explanation.heat_map.values.sum() + model.skl_model.intercept_
        assert total == pytest.approx(expected, abs=0.02)
