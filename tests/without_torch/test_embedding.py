"""From a folder of images to vectors, and what can be done with them."""

import os
import pickle

import numpy as np
import pytest
from Orange.classification import LogisticRegressionLearner
from Orange.data import Table

from orangecontrib.imageanalytics.explain import explain_images
from orangecontrib.imageanalytics.find_images import find_images
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.save_images import save_images
from orangecontrib.imageanalytics.twins import find_twins

PACKAGED = ("efficientnet-lite0", "efficientnet-lite2", "squeezenet")


@pytest.fixture
def images(photos, fresh_cache) -> Table:
    """Six images in two folders, which are their classes."""
    table, n_skipped = ImportImages()(os.path.dirname(os.path.dirname(photos[0])))
    assert len(table) == 6 and n_skipped == 0
    return table


@pytest.fixture
def embedded(images) -> Table:
    with ImageEmbedder() as embedder:
        return embedder(images)[0]


@pytest.mark.parametrize("model", PACKAGED)
def test_networks_that_come_with_the_add_on(model, images, nothing_compiled):
    with ImageEmbedder(model) as embedder:
        embedded, skipped, _ = embedder(images)
        assert embedder.device == "CPU"
    assert skipped is None and len(embedded) == 6
    network = next(network for network in NETWORKS if network.id == model)
    assert embedded.X.shape[1] == network.n_features
    assert np.isfinite(embedded.X).all()
    assert len({row.tobytes() for row in embedded.X}) == 6


@pytest.mark.parametrize("model", PACKAGED)
def test_stages(model, photos, fresh_cache):
    for layer in ImageEmbedder.stages(model):
        with ImageEmbedder(model, layer=layer) as embedder:
            embedder.check_layer()
            assert embedder(photos[:1])[0] is not None, embedder.failures


def test_class_scores_have_names(images):
    with ImageEmbedder("squeezenet", layer="logits") as embedder:
        embedded, _, _ = embedder(images)
    names = [attribute.name for attribute in embedded.domain.attributes]
    assert (names[0], names[-1]) == ("tench", "toilet tissue")


@pytest.mark.parametrize("model", PACKAGED)
def test_check(model):
    network = next(network for network in NETWORKS if network.id == model)
    assert ImageEmbedder.check(model) == network.n_features


def test_a_saved_model_predicts_from_images(images, embedded):
    model = pickle.loads(pickle.dumps(LogisticRegressionLearner()(embedded)))
    np.testing.assert_array_equal(model(images), model(embedded))


def test_find_by_example(images, photos):
    found = find_images(images, like=[photos[4]])
    assert str(found[0]["image"]).endswith("photo 4.jpg")
    assert found[0]["score"] == pytest.approx(1, abs=1e-3)


def test_twins_by_vectors(embedded):
    twice = Table.concatenate((embedded, embedded[:1]))
    assert find_twins(twice, "vectors") == [1, None, None, None, None, None, 1]


def test_explain(embedded):
    model = LogisticRegressionLearner()(embedded)
    result = explain_images(embedded, model, method="activation")  # exact maps
    assert sorted(result.explanations) == list(range(6)) and not result.failures


def test_save(embedded, tmp_path):
    saving = save_images(embedded, str(tmp_path / "saved"))
    assert len(saving.saved) == 6 and not saving.failures
