import dataclasses
import pickle

import pytest

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import spec as module
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.networks.spec import (
    EmbeddingSpec,
    NetworkReference,
)

LITE = EmbeddingSpec.choose("efficientnet-lite0")


def test_what_is_not_said():
    network = find_network("squeezenet")
    spec = EmbeddingSpec.choose("squeezenet")
    assert spec == EmbeddingSpec(network, "logits", network.preprocessing)
    assert (spec.fit, spec.precision, spec.intensity) == ("stretch", None, "auto")
    assert EmbeddingSpec.choose(network) == spec


def test_what_is_said():
    spec = EmbeddingSpec.choose(
        "squeezenet", "features.3", "pad", precision="float16", intensity="10:2000"
    )
    assert (spec.layer, spec.fit) == ("features.3", "pad")
    assert (spec.precision, spec.intensity) == ("float16", (10, 2000))
    assert spec.preprocessing == spec.network.preprocessing.fitted("pad")


@pytest.mark.parametrize(
    "options",
    [{"model": "nonesuch"}, {"fit": "squeeze"}, {"intensity": "bright"}],
    ids=str,
)
def test_what_there_is_not(options):
    with pytest.raises(ValueError, match=next(iter(options.values()))):
        EmbeddingSpec.choose(**{"model": "squeezenet", **options})


OTHERS = {
    "network": find_network("efficientnet-lite2"),
    "layer": "logits",
    "preprocessing": LITE.preprocessing.fitted("stretch"),
    "precision": "float16",
    "intensity": "full",
}


def test_every_field_is_tried():
    assert list(OTHERS) == [field.name for field in dataclasses.fields(EmbeddingSpec)]


@pytest.mark.parametrize("name", OTHERS)
def test_every_field_makes_another_spec(name):
    other = dataclasses.replace(LITE, **{name: OTHERS[name]})
    assert other != LITE
    assert other.portable() != LITE.portable()
    # Of the precision, the key has that which was used.
    assert (other.key("float32") == LITE.key("float32")) == (name == "precision")
    assert LITE.key("float32") != LITE.key("float16")


def test_key_is_that_of_earlier_versions(monkeypatch):
    """Else all that users have in their caches is computed again."""
    monkeypatch.setattr(module, "VERSION", 2)
    assert LITE.key("float32").hex() == "3957b21bba77ea558715d8bf0799c6c4"


def test_portable():
    spec = EmbeddingSpec.choose("squeezenet", fit="crop", intensity=(1, 2))
    portable = pickle.loads(pickle.dumps(spec.portable()))
    assert portable == spec.portable() and hash(portable) == hash(spec.portable())
    assert len(pickle.dumps(portable)) < 1000
    assert portable.found() == spec


def test_where_the_network_is_makes_no_difference():
    here = NetworkReference("/home/me/cells.onnx", "sha256:1")
    there = NetworkReference(r"C:\cells.onnx", "sha256:1")
    other = NetworkReference("/home/me/cells.onnx", "sha256:2")
    specs = [EmbeddingSpec(n, "logits", LITE.preprocessing) for n in (here, there)]
    assert specs[0] == specs[1] and hash(specs[0]) == hash(specs[1])
    assert here != other


@pytest.mark.parametrize("fingerprint", ["of before", None])
def test_other_weights(fingerprint):
    network = NetworkReference("squeezenet", fingerprint)
    with pytest.raises(ModelError, match="SqueezeNet has changed"):
        dataclasses.replace(LITE, network=network).found()


def test_weights_that_have_to_be_here(monkeypatch):
    class Unknown:
        fingerprint = None

    network = dataclasses.replace(LITE.network, weights=Unknown())
    monkeypatch.setattr(module, "find_network", lambda *_: network)
    with pytest.raises(ModelError, match=r"not on this computer.*efficientnet-lite0"):
        LITE.portable().found()
    with pytest.raises(ModelError, match="not on this computer"):
        dataclasses.replace(LITE, network=network).key("float32")
