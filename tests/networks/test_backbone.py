import numpy as np
import pytest

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder


@pytest.mark.parametrize(
    ("model", "layer", "n_features"),
    [
        ("squeezenet", "penultimate", 512),
        ("squeezenet", "features.5", 128),
        ("efficientnet-lite0", "logits", 1000),
        ("efficientnet-lite0", "features.5", 40),
    ],
)
def test_layers(model, layer, n_features, photos, fresh_cache):
    with ImageEmbedder(model, "cpu", layer=layer) as embedder:
        vectors = embedder(photos)
    assert {len(vector) for vector in vectors} == {n_features}
    assert len({vector.tobytes() for vector in vectors}) == len(photos)


def test_squeezenet_before_its_classifier(photos, fresh_cache):
    """The scores are a linear function of it: its classifier is a convolution."""
    from orangecontrib.imageanalytics.networks import registry

    network = registry.find_network("squeezenet")
    classifier = network.load(network.weights.path).features[-1]
    single = {"precision": "float32"}
    with ImageEmbedder("squeezenet", "cpu", layer="penultimate", **single) as embedder:
        features = np.stack(embedder(photos))
    with ImageEmbedder("squeezenet", "cpu", **single) as embedder:
        scores = np.stack(embedder(photos))
    weights = classifier.weight[:, :, 0, 0].numpy()
    expected = features @ weights.T + classifier.bias.numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3)
