import dataclasses
import gc
import os
import pickle
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from helpers import make_image
from huggingface_hub import constants
from Orange.data.table import DomainTransformationError
from PIL import Image

open_clip = pytest.importorskip("open_clip")

from orangecontrib.imageanalytics.engine.probing import (  # noqa: E402
    LEAST_COSINE,
    least_cosine,
    probe_squares,
)
from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder  # noqa: E402
from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner  # noqa: E402
from orangecontrib.imageanalytics.errors import ModelError  # noqa: E402
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder  # noqa: E402
from orangecontrib.imageanalytics.import_images import ImportImages  # noqa: E402
from orangecontrib.imageanalytics.networks import clip_networks  # noqa: E402
from orangecontrib.imageanalytics.networks.backbone import (  # noqa: E402
    count_features,
    load_backbone,
)
from orangecontrib.imageanalytics.networks.hub_weights import HubWeights  # noqa: E402
from orangecontrib.imageanalytics.networks.registry import (  # noqa: E402
    NETWORKS,
    find_network,
)
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec  # noqa: E402

LISTED = [network for network in NETWORKS if network.knows_words]
TINY = ("Tiny-CLIP", "Tiny-MobileCLIP2", "Tiny-SigLIP2", "Tiny-RN", "Tiny-ConvNeXt")
TEXTS = [
    "a photo of a dog",
    "",
    "  ",
    "two   cats &amp; a dog_",
    "é🐕",
    "كلب",
    "word " * 99,
]


def squares(network, n=2):
    size = network.input_size
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(2))


def test_all_names_can_be_found():
    names = clip_networks.names()
    assert len(names) > 100
    networks = [find_network(name) for name in names]
    assert [network.id for network in networks] == list(names)
    assert len({network.weights for network in networks}) == len(names)
    for network in networks:
        assert network.knows_words and network.layer == "joint"
        assert network.preprocessing.size == network.input_size > 0
        assert network.origin.startswith("https://huggingface.co/")
        is_apple = "apple" in network.origin or "MobileCLIP" in network.origin
        assert ("research only" in network.licence) == is_apple


def test_networks_that_cannot_be_used_are_left_out():
    names = clip_networks.names()
    for name in (
        "ViT-B-32.openai",  # which was trained for QuickGELU
        "coca_ViT-B-32.laion2b_s13b_b90k",  # writes texts
        "xlm-roberta-base-ViT-B-32.laion5b_s13b_b90k",  # needs transformers
        "ViT-L-14-CLIPA.datacomp1b",  # its tokenizer is elsewhere
    ):
        assert name.split(".")[0] in open_clip.list_models()
        assert f"clip:{name}" not in names
    assert "clip:ViT-B-32-quickgelu.openai" in names


@pytest.mark.parametrize("network", LISTED, ids=lambda network: network.id)
def test_the_list_says_what_open_clip_does(network):
    found = find_network(f"clip:{network.weights.network}")
    for field in ("architecture", "input_size", "n_features", "scoring", "layer"):
        assert getattr(network, field) == getattr(found, field)
    assert network.preprocessing == found.preprocessing
    for field in ("repository", "network", "files", "others", "install"):
        assert getattr(network.weights, field) == getattr(found.weights, field)


@pytest.mark.parametrize("network", LISTED, ids=lambda network: network.id)
def test_sizes_of_downloads(network):
    """Four bytes a number, and up to 35 MB for the tokenizer."""
    n_bytes = 4 * sum(p.numel() for p in network._create("meta").parameters())
    others = 35 if network.weights.others else 0
    assert network.megabytes == pytest.approx(n_bytes / 1e6 + others, abs=1.5)


def test_find():
    network = find_network("clip:ViT-B-32-256")
    assert network.id == "clip:ViT-B-32-256.datacomp_s34b_b86k"
    assert network == find_network(network.id)
    assert network.name == "ViT-B-32-256 (datacomp_s34b_b86k)"
    assert network.fingerprint is None  # until its weights are here
    assert network.scoring == "softmax"
    assert find_network("clip:ViT-B-16-SigLIP2").scoring == "sigmoid"


@pytest.mark.parametrize(
    "name, part",
    [
        ("ViT-B-33", "similar: ViT-B-32"),
        ("ViT-B-32.openai", "only: ViT-B-32.laion2b_e16"),
        ("ViT-B-32", "several weights of 'ViT-B-32': ViT-B-32.laion2b_e16"),
        ("", "''"),
        ("../../ViT-B-32", "'../../ViT-B-32'"),
    ],
)
def test_unknown_names(name, part):
    with pytest.raises(ValueError) as error:
        find_network("clip:" + name)
    assert part in str(error.value)
    assert len(str(error.value)) < 900


def test_without_open_clip(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    clip_networks.names.cache_clear()
    network = find_network("clip-vit-b-32")  # which is listed all the same
    for what in (
        lambda: find_network("clip:ViT-B-32-256"),
        clip_networks.names,
        network.stages,
        lambda: network.load("weights"),
        network.load_tokenizer,
    ):
        with pytest.raises(
            ModelError, match=r"need the package open_clip_torch: pip .*\[words\]"
        ):
            what()


@pytest.mark.parametrize(
    "package, name",
    [("open_clip", "clip-vit-b-32"), ("tokenizers", "siglip2-vit-b-16")],
)
def test_missing_packages_are_named_before_the_download(
    hub_cache, monkeypatch, package, name
):
    network = find_network(name)
    assert network.not_installed == ""
    monkeypatch.setitem(sys.modules, package, None)
    assert re.search(rf"need.? the package {package}.*\[words\]", network.not_installed)
    for call in (
        lambda: ImageEmbedder.download(network),
        lambda: load_backbone(network),
        lambda: TextEncoder(network, may_download=True).encode(["a dog"]),
    ):
        with pytest.raises(ModelError) as error:
            call()
        assert str(error.value) == network.not_installed
    if package == "tokenizers":
        assert find_network("clip-vit-b-32").not_installed == ""


def test_nothing_is_downloaded_and_no_logger_is_changed(tmp_path):
    """open_clip's own functions do both."""
    code = (
        "import logging, socket, sys\n"
        "def refuse(*_):\n"
        "    raise AssertionError('asks the internet')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from orangecontrib.imageanalytics.networks.registry import find_network\n"
        "for name in ('clip-vit-b-32', 'clip:MobileCLIP2-S0', 'siglip2-vit-b-16'):\n"
        "    network = find_network(name)\n"
        "    assert network.stages()\n"
        "find_network('clip-vit-b-32').load_tokenizer()(['a dog'])\n"
        "assert logging.getLogger().handlers == []\n"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("name", TINY)
def test_vectors_are_those_of_open_clip(word_networks, hub_cache, name):
    network, model = word_networks.put_network(hub_cache, name)
    assert network.available()
    batch = squares(network)
    with torch.inference_mode():
        vectors = load_backbone(network)(batch)
        torch.testing.assert_close(vectors, model.encode_image(batch, normalize=True))
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert count_features(network) == network.n_features == vectors.shape[1]


@pytest.mark.parametrize("name", TINY)
def test_whole_way_of_an_image(word_networks, hub_cache, tmp_path, fresh_cache, name):
    """From the file to the vector, in the engine, as open_clip does all of it."""
    network, _ = word_networks.put_network(hub_cache, name)
    path = str(tmp_path / "image.png")
    make_image(3, (300, 280)).save(path)
    model, transform = open_clip.create_model_from_pretrained(name, word_networks.TAG)
    with torch.inference_mode():
        image = transform(Image.open(path))[None]
        expected = model.eval().encode_image(image, normalize=True)[0].numpy()
    with ImageEmbedder(network, "cpu", precision="float32") as embedder:
        (vector,) = embedder([path])
    # torch rounds the pixels between the directions of scaling.
    assert np.dot(vector, expected) > 0.9999
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_columns_compute_vectors_of_other_images(
    word_networks, hub_cache, photos, fresh_cache, monkeypatch
):
    network, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
    table, _ = ImportImages()(os.path.dirname(photos[0]))
    other, _ = ImportImages()(os.path.dirname(photos[3]))
    with ImageEmbedder(network, "cpu") as embedder:
        embedded, _, _ = embedder(table)
        expected, _, _ = embedder(other)
    domain = pickle.loads(pickle.dumps(embedded.domain))
    assert domain.attributes == embedded.domain.attributes
    # Columns use a GPU if there is one.
    np.testing.assert_allclose(other.transform(domain).X, expected.X, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(expected.X, axis=1), 1, rtol=1e-3)
    # Nothing is downloaded when the network is not here.
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(hub_cache) + "-elsewhere")
    monkeypatch.setattr(HubWeights, "ensure", None)
    with pytest.raises(DomainTransformationError, match="not on this computer"):
        other.transform(pickle.loads(pickle.dumps(domain)))


@pytest.mark.parametrize("name", TINY)
def test_it_runs_in_openvino(word_networks, hub_cache, nothing_compiled, caplog, name):
    """If its vectors differed by 1e-4, torch would run it."""
    network, _ = word_networks.put_network(hub_cache, name)
    for layer in ("joint", "penultimate", network.stages()[1]):
        with ImageEmbedder(
            network, "cpu", layer=layer, precision="float32"
        ) as embedder:
            embedder.load()
    assert len(list(nothing_compiled.glob("*.xml"))) == 3, caplog.text


@pytest.mark.parametrize("name", TINY)
def test_tokens_and_vectors_of_texts(word_networks, hub_cache, name):
    network, model = word_networks.put_network(hub_cache, name)
    tokens = network.load_tokenizer()(TEXTS)
    if name != word_networks.SIGLIP:  # for which open_clip needs transformers
        assert torch.equal(tokens, open_clip.get_tokenizer(name)(TEXTS))
    text = network.load_text(network.weights.ensure("Tiny"))
    assert not hasattr(text, "visual")
    assert not text.training
    assert not any(tensor.requires_grad for tensor in text.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(
            text.encode_text(tokens, normalize=True),
            model.encode_text(tokens, normalize=True),
        )


def test_tokens_need_no_weights(word_networks):
    tokens = word_networks.find("Tiny-CLIP").load_tokenizer()(TEXTS)
    assert torch.equal(tokens, open_clip.tokenize(TEXTS))
    assert tokens.shape == (len(TEXTS), 77)


@pytest.mark.parametrize("name", TINY)
def test_penultimate(word_networks, hub_cache, name):
    """Projected, it gives the joint vectors."""
    network, model = word_networks.put_network(hub_cache, name)
    batch = squares(network)
    with torch.inference_mode():
        expected = model.encode_image(batch)
        vectors = load_backbone(network, "penultimate")(batch)
        visual = model.visual
        if name == "Tiny-CLIP":
            vectors = vectors @ visual.proj
        elif name == "Tiny-MobileCLIP2":
            vectors = visual.trunk.head.fc(vectors)
        elif name == "Tiny-ConvNeXt":
            vectors = visual.head(vectors)
        elif name == "Tiny-RN":  # its attention pool takes the whole map
            expected = visual.layer4(
                visual.layer3(visual.layer2(visual.layer1(visual.stem(batch))))
            ).mean((2, 3))
        torch.testing.assert_close(vectors, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA")
@pytest.mark.parametrize("name", TINY)
def test_images_on_a_gpu(word_networks, hub_cache, name):
    network, _ = word_networks.put_network(hub_cache, name)
    spec = EmbeddingSpec.choose(network)
    probe = probe_squares(spec.preprocessing)
    single = dataclasses.replace(spec, precision="float32")
    expected, _ = TorchRunner(single, "cpu")(probe, threading.Event())
    gc.collect()
    before = torch.cuda.memory_allocated()
    runner = TorchRunner(spec, "cuda")
    vectors, precision = runner(probe, threading.Event())
    assert precision == "float16"
    assert runner._half is not None
    assert least_cosine(vectors, expected) >= LEAST_COSINE
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    exact, _ = TorchRunner(single, "cuda")(probe, threading.Event())
    assert least_cosine(exact, expected) >= 0.9999
    runner.close()
    gc.collect()
    # cuBLAS keeps its own for good.
    assert torch.cuda.memory_allocated() <= before + 2**27


@pytest.mark.parametrize("name", TINY)
def test_stages(word_networks, hub_cache, name):
    network, model = word_networks.put_network(hub_cache, name)
    batch = squares(network)
    stages = network.stages()
    assert len(stages) >= 3
    with torch.inference_mode():
        output = model.visual.forward_intermediates(batch, intermediates_only=True)
        for stage, expected in zip(stages, output["image_intermediates"], strict=True):
            model.visual.get_submodule(stage)
            vectors = load_backbone(network, stage)(batch)
            torch.testing.assert_close(vectors, expected.mean((2, 3)))


def test_other_layers(word_networks, hub_cache):
    network, _ = word_networks.put_network(hub_cache, "Tiny-CLIP")
    with torch.inference_mode():
        vectors = load_backbone(network, "transformer.resblocks.1.mlp")(
            squares(network)
        )
    assert vectors.shape == (2, 32)
    with pytest.raises(ValueError, match=r"no classifier.*named stages: transformer"):
        load_backbone(network, "logits")
    with pytest.raises(ValueError, match=r"no layer 'layer9'.*transformer\.resblocks"):
        load_backbone(network, "layer9")


def test_only_networks_that_know_words_have_the_joint_layer():
    with pytest.raises(ValueError, match=r"ResNet-50: there is no layer 'joint'"):
        ImageEmbedder("resnet50", layer="joint").check_layer()


def test_best_file_of_those_on_the_hub(word_networks, hub_cache, tmp_path):
    network, model = word_networks.find("Tiny-CLIP"), word_networks.make("Tiny-CLIP")
    torch.save(model.state_dict(), tmp_path / "weights")
    content = (tmp_path / "weights").read_bytes()
    # Repositories may have the weights by the names of another package, too.
    files = {"model.safetensors": b"other", "open_clip_pytorch_model.bin": content}
    word_networks.put(hub_cache, network, files)
    assert network.weights.path.endswith("open_clip_pytorch_model.bin")
    with torch.inference_mode():
        vectors = load_backbone(network)(squares(network))
        expected = model.encode_image(squares(network), normalize=True)
        torch.testing.assert_close(vectors, expected)


def test_fingerprint_is_of_all_files(word_networks, hub_cache):
    name = word_networks.SIGLIP
    files = word_networks.files(name)
    network = word_networks.find(name)
    word_networks.put(hub_cache, network, files)
    first = network.fingerprint
    assert first.endswith(":Tiny-SigLIP2.random")
    changed = files | word_networks.tokenizer_files(with_end=True)
    word_networks.put(hub_cache, network, changed, commit="a" * 40)
    assert word_networks.find(name).fingerprint != first
    with pytest.raises(ModelError, match="has changed since it was first used"):
        network.load(network.weights.path)


def test_a_missing_tokenizer_is_part_of_the_download(word_networks, hub_cache):
    name = word_networks.SIGLIP
    network = word_networks.find(name)
    files = word_networks.files(name)
    del files["tokenizer_config.json"]
    word_networks.put(hub_cache, network, files)
    assert not network.available()
    assert network.fingerprint is None
    with pytest.raises(ModelError) as error:
        load_backbone(network)
    command = (
        "'hf download timm/Tiny-SigLIP2 open_clip_model.safetensors tokenizer.json "
        "tokenizer_config.json'"
    )
    assert command in str(error.value)
    assert "put the folder models--timm--Tiny-SigLIP2 of its cache" in str(error.value)
    with pytest.raises(
        ModelError, match=r"tokenizer_config\.json of https://\S* is not"
    ):
        network.load_tokenizer()


def test_tokenizer_of_another_repository(hub_cache):
    network = find_network("clip:ViT-B-16-SigLIP-256")
    with pytest.raises(ModelError) as error:
        network.weights.ensure("SigLIP")
    commands = (
        "run 'hf download timm/ViT-B-16-SigLIP-256 open_clip_model.safetensors' and "
        "'hf download timm/ViT-B-16-SigLIP tokenizer.json tokenizer_config.json' on"
    )
    assert commands in str(error.value)
    folders = "the folders models--timm--ViT-B-16-SigLIP-256 and models--timm--ViT-B-16"
    assert folders in str(error.value)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.mark.parametrize("file", clip_networks.FILES)
@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_weight_file_does_not_run(
    word_networks, hub_cache, tmp_path, monkeypatch, file, archive
):
    evil = tmp_path / "evil"
    monkeypatch.setenv("EVIL", str(evil))
    content = pickle.dumps({"visual.proj": Evil()}, protocol=2)
    if archive:
        torch.save({"visual.proj": Evil()}, tmp_path / "saved")
        content = (tmp_path / "saved").read_bytes()
    network = word_networks.find("Tiny-CLIP")
    word_networks.put(hub_cache, network, {file: content})
    for load in (
        load_backbone,
        lambda network: network.load_text(network.weights.path),
    ):
        with pytest.raises(ModelError, match="cannot be read") as error:
            load(network)
        assert file in str(error.value)
    assert not evil.exists()


@pytest.mark.parametrize("file", clip_networks.FILES)
@pytest.mark.parametrize("size", [0, 1, 5000, 100_000])
def test_damaged_weights(word_networks, hub_cache, tmp_path, file, size):
    model = word_networks.make("Tiny-CLIP")
    content = word_networks.files("Tiny-CLIP", model)["open_clip_model.safetensors"]
    if file.endswith(".bin"):
        torch.save(model.state_dict(), tmp_path / "saved")
        content = (tmp_path / "saved").read_bytes()
    network = word_networks.find("Tiny-CLIP")
    word_networks.put(hub_cache, network, {file: content[:size]})
    with pytest.raises(ModelError, match="cannot be read") as error:
        load_backbone(network)
    assert network.weights.path in str(error.value)


@pytest.mark.parametrize("other", ["Tiny-MobileCLIP2", "Tiny-RN", "Tiny-ConvNeXt"])
def test_weights_of_another_network(word_networks, hub_cache, other):
    network = word_networks.find("Tiny-CLIP")
    word_networks.put(hub_cache, network, word_networks.files(other))
    with pytest.raises(ModelError, match="not for this network") as error:
        load_backbone(network)
    assert network.weights.path in str(error.value)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1], 3])
def test_files_without_weights(word_networks, hub_cache, tmp_path, content):
    torch.save(content, tmp_path / "saved")
    network = word_networks.find("Tiny-CLIP")
    data = (tmp_path / "saved").read_bytes()
    word_networks.put(hub_cache, network, {"open_clip_pytorch_model.bin": data})
    with pytest.raises(ModelError, match=r"not for this network|no state dict"):
        load_backbone(network)


def test_architecture_that_open_clip_does_not_have(monkeypatch):
    network = find_network("clip-vit-b-32")
    monkeypatch.setattr(open_clip, "get_model_config", lambda _name: None)
    with pytest.raises(
        ModelError, match=r"no architecture 'ViT-B-32-256': pip install"
    ):
        network.stages()


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture",
    sorted({name[5:].partition(".")[0] for name in clip_networks.names()}),
)
def test_layers_of_every_architecture(architecture):
    name = next(name for name in clip_networks.names() if f":{architecture}." in name)
    network = find_network(name)
    batch = squares(network).to("meta")
    stages = network.stages()
    for layer in ("joint", "penultimate", stages[0], stages[-1]):
        module = network.read_layer(network.build(), layer)
        output = module(batch)
        assert len(output) == 2
        if layer == "joint":
            assert output.shape == (2, network.n_features)
