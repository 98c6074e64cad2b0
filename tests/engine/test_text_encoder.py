import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest
import torch
from helpers import FakeWorker, make_image
from PIL import Image

open_clip = pytest.importorskip("open_clip")

from orangecontrib.imageanalytics.engine import streams, text_encoder  # noqa: E402
from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder  # noqa: E402
from orangecontrib.imageanalytics.errors import Cancelled, ModelError  # noqa: E402
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder  # noqa: E402

TINY = ("Tiny-CLIP", "Tiny-MobileCLIP2", "Tiny-SigLIP2")
TEXTS = [
    "a photo of a dog",
    "",
    "two cats &amp; a dog_",
    "é🐕",
    "كلب أحمر",
    "word " * 99,
]


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    """No vectors of texts from other tests."""
    monkeypatch.setattr(text_encoder, "_known", text_encoder._KnownTexts())


@pytest.fixture
def encoded(monkeypatch):
    """The texts that go through a network, a batch each."""
    batches = []
    call = text_encoder._TextPart.__call__

    def count(part, texts):
        batches.append(list(texts))
        return call(part, texts)

    monkeypatch.setattr(text_encoder._TextPart, "__call__", count)
    return batches


@pytest.fixture
def tiny(word_networks, hub_cache):
    """The tiny network, on this computer."""
    return word_networks.put_network(hub_cache, "Tiny-CLIP")[0]


def expected_vectors(network, model, texts):
    """As open_clip computes them."""
    with torch.inference_mode():
        tokens = network.load_tokenizer()(texts)  # compared with open_clip's elsewhere
        return model.encode_text(tokens, normalize=True).numpy()


@pytest.mark.parametrize("name", TINY)
def test_vectors_are_those_of_open_clip(word_networks, hub_cache, name):
    network, model = word_networks.put_network(hub_cache, name)
    vectors = TextEncoder(network, "cpu").encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), network.n_features)
    expected = expected_vectors(network, model, TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    # They do differ.
    assert (vectors @ vectors.T - np.eye(len(TEXTS))).max() < 0.9999


@pytest.mark.parametrize("name", TINY)
def test_scores_and_probabilities_are_those_of_open_clip(
    word_networks, hub_cache, tmp_path, fresh_cache, name
):
    """Images and texts, the whole way, against the same weights in open_clip."""
    word_networks.put_network(hub_cache, name)
    paths = []
    for index in range(3):
        paths.append(str(tmp_path / f"{index}.png"))
        make_image(index, (300, 260)).save(paths[-1])
    network = word_networks.find(name)

    model, transform = open_clip.create_model_from_pretrained(name, word_networks.TAG)
    squares = torch.stack([transform(Image.open(path)) for path in paths])
    with torch.inference_mode():
        tokens = network.load_tokenizer()(TEXTS)
        logits, _ = model.eval().get_logits(squares, tokens)
        is_siglip = model.logit_bias is not None
        bias = model.logit_bias.item() if is_siglip else 0
        scale = model.logit_scale.exp().item()
        expected = logits.sigmoid() if is_siglip else logits.softmax(dim=-1)
    similarities = ((logits - bias) / scale).numpy()

    with ImageEmbedder(network, "cpu", precision="float32") as embedder:
        images = np.stack(embedder(paths))
    encoder = TextEncoder(network, "cpu")
    found = images @ encoder.encode(TEXTS).T
    # Pixels may differ by a rounding of torch's.
    np.testing.assert_allclose(found, similarities, atol=2e-3)
    assert encoder.scoring == ("sigmoid" if is_siglip else "softmax")
    assert encoder.score_scale == pytest.approx(scale)
    assert encoder.score_bias == pytest.approx(bias)
    probabilities = encoder.probabilities(similarities)
    np.testing.assert_allclose(probabilities, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_scores_of_the_same_pixels(
    word_networks, hub_cache, tmp_path, fresh_cache, name
):
    """An image of the size of the input is not scaled, so nothing is rounded."""
    network, _ = word_networks.put_network(hub_cache, name)
    path = str(tmp_path / "image.png")
    make_image(1, (network.input_size,) * 2).save(path)
    model, transform = open_clip.create_model_from_pretrained(name, word_networks.TAG)
    with torch.inference_mode():
        tokens = network.load_tokenizer()(TEXTS)
        image = model.eval().encode_image(transform(Image.open(path))[None], True)
        expected = (image @ model.encode_text(tokens, True).T).numpy()
    with ImageEmbedder(network, "cpu", precision="float32") as embedder:
        images = np.stack(embedder([path]))
    found = images @ TextEncoder(network, "cpu").encode(TEXTS).T
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_order_and_repeated_texts(tiny, encoded):
    encoder = TextEncoder(tiny, "cpu")
    texts = ["one", "two", "one", "three", "two"]
    vectors = encoder.encode(texts)
    assert list(chain(*encoded)) == ["one", "two", "three"]
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_array_equal(vectors[1], vectors[4])
    again = encoder.encode(["three", "four"])
    assert encoded[-1] == ["four"]
    np.testing.assert_array_equal(again[0], vectors[3])


def test_known_texts_need_no_network(tiny, monkeypatch, word_networks):
    vectors = TextEncoder(tiny, "cpu").encode(TEXTS)
    monkeypatch.setattr(text_encoder, "_Loading", None)
    encoder = TextEncoder(word_networks.find("Tiny-CLIP"), "cpu")
    np.testing.assert_array_equal(encoder.encode(TEXTS[::-1]), vectors[::-1])
    assert encoder.score_scale > 1
    assert encoder.score_bias == 0
    # What the caller does with an answer changes none of the others.
    encoder.encode(TEXTS)[:] = 0
    np.testing.assert_array_equal(encoder.encode(TEXTS), vectors)


def test_networks_do_not_share_vectors(word_networks, hub_cache):
    first, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
    vectors = TextEncoder(first, "cpu").encode(TEXTS)
    assert first.fingerprint
    model = word_networks.make("Tiny-CLIP", seed=1)
    content = word_networks.files("Tiny-CLIP", model)
    word_networks.put(hub_cache, first, content, commit="a" * 40)
    other = TextEncoder(word_networks.find("Tiny-CLIP"), "cpu").encode(TEXTS)
    assert np.abs(vectors - other).max() > 0.01
    np.testing.assert_array_equal(TextEncoder(first, "cpu").encode(TEXTS), vectors)


def test_the_oldest_texts_are_forgotten(tiny, encoded, monkeypatch):
    monkeypatch.setattr(text_encoder, "MOST_TEXTS", 3)
    encoder = TextEncoder(tiny, "cpu")
    texts = [f"{number} dogs" for number in range(5)]
    vectors = encoder.encode(texts)  # more than are kept
    assert len(np.unique(vectors, axis=0)) == 5
    encoded.clear()
    encoder.encode(["2 dogs", "3 dogs", "4 dogs"])
    assert encoded == []
    np.testing.assert_allclose(encoder.encode(texts), vectors, atol=1e-6)
    assert encoded[0][:2] == ["0 dogs", "1 dogs"]


def test_encoders_share_a_network(tiny):
    first, second = TextEncoder(tiny, "cpu"), TextEncoder(tiny, "cpu")
    first.load()
    second.load()
    assert first._part is second._part
    part = weakref.ref(first._part)
    first.close()
    assert len(second.encode(["a dog"])) == 1
    second.close()
    gc.collect()
    assert part() is None
    assert len(first.encode(["a dog", "another"])) == 2  # loads it again


def test_several_threads(tiny):
    texts = [f"{number} dogs" for number in range(40)]
    expected = TextEncoder(tiny, "cpu").encode(texts)
    text_encoder._known.clear()
    encoder = TextEncoder(tiny, "cpu")
    with ThreadPoolExecutor(4) as pool:
        parts = [texts[start:] + texts[:start] for start in range(0, 40, 10)]
        results = list(pool.map(encoder.encode, parts))
    for start, vectors in zip(range(0, 40, 10), results, strict=True):
        np.testing.assert_allclose(vectors, np.roll(expected, -start, 0), atol=1e-6)


def test_progress(tiny):
    fractions = []
    TextEncoder(tiny, "cpu").encode([f"{n} dogs" for n in range(10)], fractions.append)
    assert fractions[0] == 0 and fractions[-1] == 1
    assert fractions == sorted(fractions)
    assert {0.4, 0.8} <= set(fractions)


def test_stop_keeps_what_is_done(tiny, encoded):
    def stop(fraction):
        if fraction >= 0.5:
            raise Cancelled

    texts = [f"{n} dogs" for n in range(16)]
    encoder = TextEncoder(tiny, "cpu")
    with pytest.raises(Cancelled):
        encoder.encode(texts, stop)
    assert list(chain(*encoded)) == texts[:8]
    encoded.clear()
    encoder.encode(texts)
    assert list(chain(*encoded)) == texts[8:]


def test_stop_while_the_network_is_loaded(tiny, monkeypatch):
    loading, go_on = threading.Event(), threading.Event()
    load = type(tiny).load_text

    def slow(network, path):
        loading.set()
        assert go_on.wait(60)
        return load(network, path)

    def stop(_fraction):
        if loading.is_set():
            raise Cancelled

    monkeypatch.setattr(type(tiny), "load_text", slow)
    encoder = TextEncoder(tiny, "cpu")
    with pytest.raises(Cancelled):
        encoder.encode(["a dog"], stop)
    go_on.set()
    assert encoder.encode(["a dog"]).shape == (1, 24)


def test_no_texts(tiny, monkeypatch):
    monkeypatch.setattr(text_encoder, "_Loading", None)
    vectors = TextEncoder(tiny, "cpu").encode([])
    assert vectors.shape == (0, 24) and vectors.dtype == np.float32


@pytest.mark.parametrize("texts", ["a dog", ["a dog", None], [b"dog"], [3]])
def test_what_is_no_list_of_texts(tiny, texts):
    with pytest.raises(TypeError, match="must be a list of strings"):
        TextEncoder(tiny, "cpu").encode(texts)


def test_network_that_is_not_here(word_networks):
    network = word_networks.find("Tiny-CLIP")
    for call in (
        lambda encoder: encoder.encode(["a dog"]),
        lambda encoder: encoder.score_scale,
        lambda encoder: encoder.probabilities([0.1, 0.2]),
    ):
        # It is only downloaded by those who have asked the user.
        with pytest.raises(ModelError, match=r"not on this computer\. Choose it"):
            call(TextEncoder(network, "cpu"))
        with pytest.raises(ModelError, match="could not be downloaded"):
            call(TextEncoder(network, "cpu", may_download=True))
    assert TextEncoder(network).scoring == "softmax"


def test_network_that_knows_no_words():
    with pytest.raises(ValueError, match=r"SqueezeNet does not know words.*clip-vit-b"):
        TextEncoder("squeezenet")
    with pytest.raises(ValueError, match="'none' is not a valid model"):
        TextEncoder("none")


def test_device_that_does_not_exist(tiny):
    with pytest.raises(ValueError, match="'abacus' is not a device"):
        TextEncoder(tiny, "abacus").encode(["a dog"])


def test_a_gpu_that_fails(tiny, monkeypatch):
    """The "meta" device stands for it: there, nothing can be copied back."""
    expected = TextEncoder(tiny, "cpu").encode(TEXTS)
    text_encoder._known.clear()
    choose = text_encoder.choose_device
    monkeypatch.setattr(
        text_encoder,
        "choose_device",
        lambda name: torch.device("meta") if name == "gpu" else choose(name),
    )
    monkeypatch.setattr(text_encoder, "describe_device", str)
    encoder = TextEncoder(tiny, "gpu")
    with pytest.warns(
        RuntimeWarning, match="meta failed, so the CPU is used for texts"
    ):
        vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert encoder.encode(["another"]).shape == (1, 24)


def test_a_gpu_without_memory(tiny, monkeypatch):
    expected = TextEncoder(tiny, "cpu").encode(TEXTS)
    text_encoder._known.clear()
    monkeypatch.setattr(
        text_encoder,
        "choose_device",
        lambda name: torch.device("xla" if name == "gpu" else name),  # is not there
    )
    monkeypatch.setattr(text_encoder, "describe_device", str)
    with pytest.warns(RuntimeWarning, match="xla failed, so the CPU is used for texts"):
        vectors = TextEncoder(tiny, "gpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_the_thread_of_the_networks_computes_on_a_gpu(tiny, monkeypatch):
    """In each other thread, cuBLAS would hold memory for good."""
    expected = TextEncoder(tiny, "cpu").encode(TEXTS)
    text_encoder._known.clear()
    calls = []

    class Worker(FakeWorker):
        def __call__(self, function, *args):
            calls.append(function)
            return super().__call__(function, *args)

    device = torch.device("cpu")
    monkeypatch.setattr(
        streams, "find_worker", lambda *key: {(device, "networks"): Worker(device)}[key]
    )
    monkeypatch.setattr(text_encoder._TextPart, "is_on_cuda", True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device: None)
    encoder = TextEncoder(tiny, "cpu")
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(encoder.encode, (TEXTS[:3], TEXTS[3:])))
    assert len(calls) == 2
    np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA")
@pytest.mark.parametrize("name", TINY)
def test_on_a_gpu(word_networks, hub_cache, name):
    network, model = word_networks.put_network(hub_cache, name)
    vectors = TextEncoder(network, "cuda").encode(TEXTS)
    expected = expected_vectors(network, model, TEXTS)
    np.testing.assert_allclose(vectors, expected, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA")
def test_close_releases_the_memory_of_a_gpu(tiny):
    TextEncoder(tiny, "cuda").encode(["what torch itself keeps"])
    gc.collect()
    before = torch.cuda.memory_allocated()
    encoder = TextEncoder(tiny, "cuda")
    with ThreadPoolExecutor(3) as pool:
        together = threading.Barrier(3)

        def encode(number):
            together.wait(60)
            return encoder.encode([f"{text} {number}" for text in TEXTS])

        list(pool.map(encode, range(3)))
    assert torch.cuda.memory_allocated() > before
    encoder.close()
    gc.collect()
    assert torch.cuda.memory_allocated() <= before
