"""Finding and sorting with one call, by example and by words."""

import math
import os
import shutil

import numpy as np
import pytest
from Orange.data import Domain, StringVariable, Table
from PIL import Image

from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.find_images import (
    TEMPLATES,
    Description,
    ExamplesError,
    LazyEmbedder,
    choose_spec,
    find_images,
    sort_into,
)
from orangecontrib.imageanalytics.find_images import (
    word_networks as networks_with_words,
)
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.spec import NetworkReference

# Which precision is the default, may differ each time.
SINGLE = {"device": "cpu", "precision": "float32"}
SQUEEZENET = {"model": "squeezenet", **SINGLE}


def scores_of(table):
    return table.get_column("score")


# By example -------------------------------------------------------------------------


def test_like_a_file(table, folder):
    found = find_images(table, like=folder / "light" / "2.png", **SQUEEZENET)
    assert len(found) == 8
    assert found[0]["image"] == "light/2.png"
    scores = scores_of(found)
    assert scores[0] == pytest.approx(1, abs=1e-5)
    assert (np.diff(scores) <= 0).all()
    assert found.domain.class_var is table.domain.class_var


def test_like_rows(table, embedded):
    by_rows = find_images(embedded, like=embedded[[1, 3, 4]])
    with ImageEmbedder(**SQUEEZENET) as embedder:
        vectors = np.array(embedder([str(p) for p in paths_of(table)]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit[[1, 3, 4]].mean(axis=0)
    expected = unit @ mean / np.linalg.norm(mean)
    order = np.argsort(-expected, kind="stable")
    assert by_rows.ids.tolist() == embedded.ids[order].tolist()
    np.testing.assert_allclose(scores_of(by_rows), expected[order], atol=1e-5)


def paths_of(table):
    origin = table.domain["image"].attributes["origin"]
    return [os.path.join(origin, name) for name in table.get_column("image")]


def test_the_number_of_images_and_the_least_score(table, folder):
    like = [folder / "dark" / "0.png"]
    everything = scores_of(find_images(table, like=like, **SQUEEZENET))
    top = find_images(table, like=like, top=3, **SQUEEZENET)
    np.testing.assert_allclose(scores_of(top), everything[:3])
    some = find_images(table, like=like, threshold=everything[4], **SQUEEZENET)
    assert len(some) == 5
    none = find_images(table, like=like, threshold=1.1, **SQUEEZENET)
    assert len(none) == 0 and none.domain["score"]


def test_by_default_the_vectors_that_are_there(embedded, fresh_cache, counted):
    found = find_images(embedded, like=embedded[:1])
    compute = found.domain["score"].compute_value.compute_shared
    assert compute.spec.network.id == "squeezenet"
    assert not counted


def test_by_default_efficientnet(table, folder):
    found = find_images(table, like=[folder / "dark" / "0.png"], device="cpu")
    compute = found.domain["score"].compute_value.compute_shared
    assert compute.spec.network.id == "efficientnet-lite0"


def test_options_of_the_embedding(table, folder, fresh_cache):
    options = {"fit": "pad", "intensity": "full", "layer": "penultimate"}
    found = find_images(
        table, like=[folder / "dark" / "0.png"], **SQUEEZENET, **options, cache=False
    )
    spec = found.domain["score"].compute_value.compute_shared.spec
    assert (spec.fit, spec.intensity, spec.layer) == tuple(options.values())
    with pytest.raises(TypeError):
        find_images(table, like=[], colour="red")


def test_progress(table, folder, fresh_cache):
    told = []
    like = [folder / "dark" / "0.png"]
    find_images(table, like=like, callback=told.append, **SQUEEZENET)
    assert told == sorted(told)
    assert told[0] >= 0 and told[-1] == 1

    def stop(_fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_images(table, like=like, callback=stop, **SQUEEZENET)


def test_another_column_of_images(table, folder):
    """Also the examples' images are those of the column with that name."""
    other = StringVariable("other")
    other.attributes["type"] = "image"
    lists = paths_of(table)
    both = table.add_column(other, np.array(lists[::-1], dtype=object))
    found = find_images(both, like=both[:1], column="other", **SQUEEZENET)
    assert found[0]["other"] == lists[-1]
    compute = found.domain["score"].compute_value.compute_shared
    assert compute.column == "other"
    expected = find_images(table, like=table[-1:], **SQUEEZENET)
    np.testing.assert_allclose(scores_of(found), scores_of(expected), atol=1e-5)


# What cannot be found ---------------------------------------------------------------


def test_failures_are_told(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bad")
    table, _ = ImportImages()(str(tmp_path / "bad"))
    lost = tmp_path / "bad" / "dark" / "1.png"
    lost.unlink()
    like = [tmp_path / "bad" / "dark" / "0.png", tmp_path / "nowhere.png"]
    failures = {}
    found = find_images(table, like=like, failures=failures, **SQUEEZENET)
    assert len(found) == 7
    assert failures == {
        str(lost): "file not found",
        str(tmp_path / "nowhere.png"): "file not found",
    }
    with pytest.warns(RuntimeWarning, match="could not be embedded: 2, the first: "):
        find_images(table, like=like, **SQUEEZENET)


def test_no_example_can_be_read(table, tmp_path):
    with pytest.raises(ExamplesError, match=r"nowhere\.png: file not found"):
        find_images(table, like=[tmp_path / "nowhere.png"], **SQUEEZENET)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "nothing to search for"),
        ({"words": []}, "nothing to search for"),
        ({"words": "  "}, "description is empty"),
        ({"words": ["a cat", ""]}, "description is empty"),
        ({"like": []}, "nothing to search for"),
        ({"words": [Description("a cat", 0)]}, "weights are 0"),
        ({"like": ["a.png"], "examples_weight": 0}, "weights are 0"),
        ({"like": ["a.png"], "examples_weight": math.nan}, "weight"),
        ({"like": ["a.png"], "top": 0}, "top should be"),
        ({"like": ["a.png"], "threshold": math.nan}, "threshold should be"),
        ({"like": ["a.png"], "model": "abacus"}, "'abacus' is not a valid model"),
        ({"words": "a cat", "model": "squeezenet"}, "SqueezeNet does not know words"),
        ({"words": "a cat", "layer": "logits"}, "layer joint, not logits"),
        ({"like": ["a.png"], "column": "photo"}, "no column 'photo'"),
    ],
    ids=str,
)
def test_arguments_that_are_refused(table, arguments, reason):
    with pytest.raises(ValueError, match=reason):
        find_images(table, **arguments)


def test_networks_that_know_words_are_named(table):
    with pytest.raises(ValueError) as raised:
        find_images(table, "a cat", model="squeezenet")
    assert networks_with_words()
    for network in networks_with_words():
        assert network.id in str(raised.value)


def test_a_table_without_images():
    with pytest.raises(ValueError, match="no column that could name images"):
        find_images(Table("iris"), like=["a.png"])


def test_a_table_without_rows(table, folder):
    found = find_images(table[:0], like=[folder / "dark" / "0.png"], **SQUEEZENET)
    assert len(found) == 0 and found.domain["score"]


# By words ---------------------------------------------------------------------------

NAMES = ("Tiny-CLIP", "Tiny-MobileCLIP2", "Tiny-SigLIP2")
TEXTS = ["a cat", "a drawing of a dog"]


@pytest.fixture(params=NAMES)
def tiny(request, word_networks, hub_cache, fresh_cache):
    """A tiny network that knows words, and the same as open_clip makes it."""
    return word_networks.put_network(hub_cache, request.param)


@pytest.fixture
def squares(tiny, tmp_path):
    """Images of the size of the network's input, so nothing is scaled; as a table."""
    (tmp_path / "squares").mkdir()
    size = tiny[0].input_size
    random = np.random.default_rng(0)
    for index in range(5):
        pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "squares" / f"{index}.png")
    return ImportImages()(str(tmp_path / "squares"))[0]


def images_of_open_clip(tiny, table):
    """Vectors of images as open_clip computes them."""
    import open_clip
    import torch

    network, model = tiny
    settings = network.preprocessing
    transform = open_clip.image_transform(
        network.input_size,
        is_train=False,
        mean=[value / 255 for value in settings.mean],
        std=[value / 255 for value in settings.std],
    )
    batch = torch.stack([transform(Image.open(path)) for path in paths_of(table)])
    with torch.inference_mode():
        return model.encode_image(batch, normalize=True).numpy()


def texts_of_open_clip(tiny, texts):
    """Vectors of texts as open_clip computes them."""
    import torch

    network, model = tiny
    with torch.inference_mode():
        tokens = network.load_tokenizer()(texts)  # compared with open_clip's elsewhere
        return model.encode_text(tokens, normalize=True).numpy()


def test_scores_are_those_of_open_clip(tiny, squares):
    network, _ = tiny
    words = [Description(TEXTS[0], 2), Description(TEXTS[1], negative=True)]
    found = find_images(
        squares, words, model=network, device="cpu", precision="float32"
    )
    images = images_of_open_clip(tiny, squares)
    similarities = images @ texts_of_open_clip(tiny, TEXTS).T
    expected = (2 * similarities[:, 0] - similarities[:, 1]) / 3
    order = np.argsort(-expected)
    assert list(found.get_column("image")) == [f"{index}.png" for index in order]
    np.testing.assert_allclose(scores_of(found), expected[order], atol=1e-4)


def test_probabilities_are_those_of_open_clip(tiny, squares):
    import open_clip
    import torch

    network, model = tiny
    names = ["cat", "dog", "car"]
    sorted_ = sort_into(
        squares, names, network, "ensemble", device="cpu", precision="float32"
    )
    classifier = open_clip.build_zero_shot_classifier(
        model, network.load_tokenizer(), names, TEMPLATES["ensemble"]
    ).numpy()
    scale, bias = model.logit_scale.exp().item(), 0
    is_siglip = model.logit_bias is not None
    if is_siglip:
        bias = model.logit_bias.item()
    images = images_of_open_clip(tiny, squares)
    logits = torch.tensor(scale * images @ classifier + bias)
    expected = (logits.sigmoid() if is_siglip else logits.softmax(-1)).numpy()
    found = sorted_.metas[:, -3:].astype(float)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert sorted_.domain.class_var.values == tuple(names)
    np.testing.assert_array_equal(sorted_.Y, expected.argmax(axis=1))


# The rest with one network ----------------------------------------------------------


@pytest.fixture
def network(word_networks, hub_cache, fresh_cache):
    return word_networks.put_network(hub_cache, "Tiny-CLIP")[0]


def test_words_and_examples_together(network, table, folder):
    like = [folder / "dark" / "0.png"]
    options = {"model": network, **SINGLE}
    found = find_images(table, "a cat", like, examples_weight=3, **options)
    words = find_images(table, "a cat", **options)
    examples = find_images(table, like=like, **options)
    by_image = [
        dict(zip(t.get_column("image"), scores_of(t), strict=True))
        for t in (found, words, examples)
    ]
    for image, score in by_image[0].items():
        expected = (by_image[1][image] + 3 * by_image[2][image]) / 4
        assert score == pytest.approx(expected, abs=1e-5)


def test_words_without_the_examples_that_cannot_be_read(network, table):
    failures = {}
    found = find_images(
        table, "a cat", ["/no/such.png"], model=network, failures=failures, **SINGLE
    )
    expected = find_images(table, "a cat", model=network, **SINGLE)
    np.testing.assert_array_equal(scores_of(found), scores_of(expected))
    assert failures == {"/no/such.png": "file not found"}


def test_vectors_of_the_table_serve_words(network, table, counted):
    with ImageEmbedder(network, "cpu") as embedder:
        embedded = embedder(table)[0]
    del counted[:]
    by_default = find_images(embedded, "a cat", device="cpu")
    chosen = find_images(embedded, "a cat", model=network, device="cpu")
    np.testing.assert_array_equal(scores_of(by_default), scores_of(chosen))
    compute = by_default.domain["score"].compute_value.compute_shared
    assert compute.spec.network.id == network.id
    assert not counted


def test_vectors_of_another_network_do_not_serve_words(network, embedded):
    found = find_images(embedded, "a cat", model=network, device="cpu")
    compute = found.domain["score"].compute_value.compute_shared
    assert compute.spec.network.id == network.id
    assert compute.spec.layer == "joint"


def test_scores_for_words_need_no_text_encoder_later(
    network, table, folder, monkeypatch
):
    found = find_images(table, "a cat", model=network, **SINGLE)
    monkeypatch.setattr(TextEncoder, "__init__", lambda *_: pytest.fail("is made"))
    again = table.transform(found.domain).get_column("score")
    by_image = dict(zip(found.get_column("image"), scores_of(found), strict=True))
    expected = [by_image[image] for image in table.get_column("image")]
    np.testing.assert_allclose(again, expected, atol=1e-6)


def test_a_network_that_is_not_here(word_networks, table, fresh_cache):
    network = word_networks.find("Tiny-CLIP")
    with pytest.raises(ModelError):
        find_images(table, "a cat", model=network)


def test_vectors_of_a_network_whose_weights_are_gone(network, table, folder, hub_cache):
    with ImageEmbedder(network, "cpu") as embedder:
        embedded = embedder(table)[0]
    kept = hub_cache.with_name("kept")
    hub_cache.rename(kept)
    for model in (None, network.id):
        # Its vectors are still good for examples, but not for words.
        spec = choose_spec(embedded, model=model)
        assert isinstance(spec.network, NetworkReference)
        words = choose_spec(embedded, model=model, words=True)
        assert words.network.id == network.id and not words.network.available()
        found = find_images(embedded, like=embedded[:1], model=model)
        assert scores_of(found)[0] == pytest.approx(1, abs=1e-5)
        with pytest.raises(ModelError):
            find_images(embedded, "a cat", model=model)
        with pytest.raises(ModelError, match="Tiny-CLIP"):
            find_images(embedded, like=[folder / "dark" / "0.png"], model=model)
    with LazyEmbedder(spec, "cpu", may_download=False) as lazy:
        with pytest.raises(ModelError, match="not on this computer"):
            lazy.examples(folder / "dark" / "0.png")
        assert len(lazy.table(embedded).vectors) == 8
        kept.rename(hub_cache)
        assert len(lazy.examples(folder / "dark" / "0.png")) == 1
    assert choose_spec(embedded, model=network.id).network.available()


def test_devices_that_texts_cannot_use(network, table, monkeypatch):
    devices = []
    make = TextEncoder.__init__

    def remember(encoder, model, device, **options):
        devices.append(device)
        make(encoder, model, device, **options)

    monkeypatch.setattr(TextEncoder, "__init__", remember)
    with pytest.raises(ValueError, match="intel-npu"):
        find_images(table, "a cat", model=network, device="intel-npu")
    assert devices == ["cpu"]


def test_sorted_with_the_others(network, table):
    table = table.transform(Domain([], None, table.domain.metas))
    sorted_ = sort_into(table, ["cat", "dog"], network, threshold=1.0, device="cpu")
    assert sorted_.domain.class_var.values == ("cat", "dog", "other")
    assert (sorted_.Y == 2).all()
    np.testing.assert_array_equal(sorted_.ids, table.ids)
    named = sort_into(table, ["cat", "dog"], network, threshold=0.0, other="neither")
    assert named.domain.class_var.values == ("cat", "dog", "neither")
    assert (named.Y < 2).all()


def test_images_that_cannot_be_sorted(network, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bad")
    table, _ = ImportImages()(str(tmp_path / "bad"))
    (tmp_path / "bad" / "dark" / "1.png").unlink()
    with pytest.warns(RuntimeWarning, match=r"1\.png: file not found"):
        sorted_ = sort_into(table, ["cat", "dog"], network)
    assert len(sorted_) == 8
    assert np.isnan(sorted_.get_column("class")).nonzero()[0].tolist() == [1]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"classes": []}, "no names"),
        ({"classes": ["cat"]}, "at least two"),
        ({"classes": ["cat", "cat"]}, "twice"),
        ({"templates": "a photo"}, "'a photo' has no"),
        ({"threshold": 2}, "between 0 and 1"),
        ({"model": "squeezenet"}, "does not know words"),
    ],
    ids=str,
)
def test_sorting_that_is_refused(network, table, options, reason):
    arguments = {"classes": ["cat", "dog"], "model": network} | options
    with pytest.raises(ValueError, match=reason):
        sort_into(table, **arguments)
