"""Which network is used, and which vectors a table has."""

import pytest
from Orange.data import Domain, StringVariable, Table
from Orange.preprocess import Normalize

from orangecontrib.imageanalytics.find_images import choose_spec
from orangecontrib.imageanalytics.find_images.choice import vector_columns
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.networks.spec import (
    EmbeddingSpec,
    NetworkReference,
)


def embed(table, model="squeezenet", **options):
    with ImageEmbedder(model, "cpu", **options) as embedder:
        return embedder(table)[0]


# Vectors that a table has -----------------------------------------------------------


def test_a_table_without_vectors(table):
    assert vector_columns(table) == {}


def test_vectors_are_found_by_their_numbers(embedded):
    domain = embedded.domain
    mixed = embedded.transform(
        Domain(
            domain.attributes[:-400:-1], None, [*domain.metas, *domain.attributes[:601]]
        )
    )
    ((compute, variables),) = vector_columns(mixed).items()
    assert compute.spec.network.id == "squeezenet"
    assert [v.name for v in variables] == [f"n{index}" for index in range(1000)]


@pytest.mark.parametrize("kept", [slice(0, 10), slice(1, None)], ids=str)
def test_vectors_without_some_numbers_are_none(kept, embedded):
    domain = embedded.domain
    part = Domain(domain.attributes[kept], None, domain.metas)
    assert vector_columns(embedded.transform(part)) == {}


def test_other_numbers_are_no_vectors(embedded):
    assert vector_columns(Normalize()(embedded)) == {}
    plain = [
        variable.copy(compute_value=None) for variable in embedded.domain.attributes
    ]
    table = embedded.transform(Domain(plain, None, embedded.domain.metas))
    assert vector_columns(table) == {}


def test_vectors_of_another_column_are_none(embedded):
    other = StringVariable("other")
    metas = [other, *embedded.domain.metas]
    table = embedded.transform(Domain(embedded.domain.attributes, None, metas))
    assert vector_columns(table, other) == {}
    assert len(vector_columns(table, "image")) == 1


def test_several_networks(embedded):
    both = embed(embedded, layer="penultimate")
    specs = [compute.spec for compute in vector_columns(both)]
    assert [spec.layer for spec in specs] == ["logits", "penultimate"]


# The choice -------------------------------------------------------------------------


def test_by_default_the_default_network(table):
    assert choose_spec() == EmbeddingSpec.choose(DEFAULT)
    assert choose_spec(table) == EmbeddingSpec.choose(DEFAULT)


def test_by_default_the_network_whose_vectors_there_are(table, fresh_cache):
    spec = choose_spec(embed(table, layer="penultimate", fit="pad"))
    assert isinstance(spec.network, Network)
    assert (spec.network.id, spec.layer, spec.fit) == (
        "squeezenet",
        "penultimate",
        "pad",
    )


def test_a_chosen_network_with_the_options_of_its_vectors(table, fresh_cache):
    padded = embed(table, fit="pad")
    assert choose_spec(padded, model="squeezenet").fit == "pad"
    assert choose_spec(padded, model="squeezenet", fit="crop").fit == "crop"
    assert choose_spec(padded, model="squeezenet", intensity="full").fit == "stretch"
    assert choose_spec(padded, model="squeezenet", layer="features.8").fit == "stretch"
    assert choose_spec(padded, model=DEFAULT) == EmbeddingSpec.choose(DEFAULT)


def test_of_several_the_one_with_the_layer(embedded, fresh_cache):
    both = embed(embedded, layer="penultimate", fit="pad")
    assert choose_spec(both, layer="penultimate").fit == "pad"
    assert choose_spec(both).layer == "logits"


def test_vectors_of_a_network_that_is_gone_are_still_good(of_gone_network):
    spec = choose_spec(of_gone_network)
    assert isinstance(spec.network, NetworkReference)
    assert spec.network.id == "/gone/network.onnx"


def test_unknown_models():
    with pytest.raises(ValueError, match="'abacus' is not a valid model"):
        choose_spec(model="abacus")


def test_a_table_without_images():
    with pytest.raises(ValueError, match="no column that could name images"):
        choose_spec(Table("iris"))
    with pytest.raises(ValueError, match="no column 'photo'"):
        choose_spec(Table("iris"), "photo")


def test_networks_that_do_not_know_words():
    with pytest.raises(ValueError, match="SqueezeNet does not know words"):
        choose_spec(model="squeezenet", words=True)


def test_words_have_one_layer():
    with pytest.raises(ValueError, match="layer joint, not logits"):
        choose_spec(layer="logits", words=True)


def test_vectors_of_a_network_without_words_are_no_choice_for_words(embedded):
    assert choose_spec(embedded).network.id == "squeezenet"
    assert choose_spec(embedded, words=True).layer == "joint"
