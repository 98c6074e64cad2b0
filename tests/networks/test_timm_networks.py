import dataclasses
import hashlib
import os
import pickle
import sys
import threading

import numpy as np
import pytest
import torch
from helpers import make_image
from PIL import Image

timm = pytest.importorskip("timm")
safetensors = pytest.importorskip("safetensors.torch")

from orangecontrib.imageanalytics.errors import ModelError  # noqa: E402
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder  # noqa: E402
from orangecontrib.imageanalytics.networks import (  # noqa: E402
    timm_networks,
    weights,
)
from orangecontrib.imageanalytics.networks.backbone import load_backbone  # noqa: E402
from orangecontrib.imageanalytics.networks.layers import (  # noqa: E402
    fuse_batch_norms,
    pool,
)
from orangecontrib.imageanalytics.networks.registry import find_network  # noqa: E402
from orangecontrib.imageanalytics.networks.weights import (  # noqa: E402
    DownloadedWeights,
)

COMMIT = "0123456789" * 4
TINY = "test_resnet.r160_in1k"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, and no way to the hub."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return folder


def make(name):
    """The network as timm makes it, with random weights that leave nothing as is."""
    torch.manual_seed(1)
    model = timm.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def put(cache, network, content, file="model.safetensors", commit=COMMIT, linked=False):
    """Lay a weight file where the hub's client would have; its path.

    As on Windows, unless it is linked.
    """
    repository = cache / f"models--{network.weights.repository.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    for folder in (snapshot, repository / "refs", repository / "blobs"):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    if linked:
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file).symlink_to(blob)
    else:
        (snapshot / file).write_bytes(content)
    return str(snapshot / file)


def put_weights(cache, network, model, **options):
    return put(cache, network, safetensors.save(model.state_dict()), **options)


def squares(network, n=2):
    size = network.input_size
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(2))


def test_all_names_can_be_found():
    names = timm_networks.names()
    assert len(names) > 1000
    assert "timm:vit_small_patch14_dinov2.lvd142m" in names
    networks = [find_network(name) for name in names]
    assert [network.id for network in networks] == list(names)
    # Also those that compute differently with the same weights.
    assert len({network.weights for network in networks}) == len(names)
    for network in networks:
        assert network.preprocessing.size == network.input_size > 0
        assert network.origin.startswith("https://")
        assert network.classes == () or len(network.classes) >= 1000


def test_every_architecture_has_default_weights():
    for architecture in {name[5:].partition(".")[0] for name in timm_networks.names()}:
        assert timm_networks.find(architecture).id in timm_networks.names()


def test_find():
    network = find_network("timm:resnet18")
    assert network.id == f"timm:resnet18.{timm.get_pretrained_cfg('resnet18').tag}"
    assert network == find_network(network.id)
    network = find_network("timm:resnet18.tv_in1k")
    assert network.name == "resnet18 (tv_in1k)"
    assert network.input_size == 224
    assert network.licence == "bsd-3-clause"
    assert network.origin == "https://huggingface.co/timm/resnet18.tv_in1k"
    assert network.fingerprint is None  # until its weights are here
    assert network.layer == "penultimate"
    assert not network.available()


@pytest.mark.parametrize(
    "name, number, first",
    [
        ("resnet18", 1000, "tench"),
        ("convnext_tiny.in12k", 11821, None),
        ("vit_small_patch14_dinov2", 0, None),
        ("vit_base_patch16_clip_224.openai", 0, None),  # 512 numbers, not classes
    ],
)
def test_class_names(name, number, first):
    classes = timm_networks.find(name).classes
    assert len(classes) == number
    assert first is None or classes[0] == first


@pytest.mark.parametrize(
    "name, part",
    [
        ("resnt18", "resnet18"),
        ("vit_small_patch14_dino", "vit_small_patch14_dinov2"),
        ("resnet18.in22k", "resnet18.tv_in1k"),
        ("", ""),
        ("../../resnet18", "resnet18"),
    ],
)
def test_unknown_names(name, part):
    with pytest.raises(ValueError) as error:
        find_network("timm:" + name)
    assert f"'{name}'" in str(error.value) or "of 'resnet18'" in str(error.value)
    assert part in str(error.value)
    assert len(str(error.value)) < 600


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    timm_networks.names.cache_clear()
    for what in (lambda: find_network("timm:resnet18"), timm_networks.names):
        with pytest.raises(ModelError, match=r"pip install .*\[timm\]"):
            what()


def of_mode(mode, inexact):
    """The first network that meets images in this way."""
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        if config.crop_mode == mode and (config.crop_pct != 1) == inexact:
            return name
    return None


@pytest.mark.parametrize("size", [(640, 427), (320, 500)])
@pytest.mark.parametrize(
    "name",
    [
        "resnet18.a1_in1k",
        "vit_small_patch14_dinov2.lvd142m",
        "tf_efficientnet_b0.ns_jft_in1k",
        "mobilenetv3_large_100.ra_in1k",
        "vit_base_patch16_siglip_224.webli",
        of_mode("squash", False),
        of_mode("squash", True),
        of_mode("border", False),
    ],
)
def test_preprocessing_is_that_of_timm(name, size):
    from sklearn.datasets import load_sample_image
    from timm.data import create_transform, resolve_data_config

    if name is None:
        pytest.skip("this version of timm has no such network")
    image = Image.fromarray(load_sample_image("china.jpg")).resize(size)
    preprocessing = timm_networks.find(name).preprocessing
    ours = preprocessing.normalise(
        torch.from_numpy(preprocessing.square(image)[None].copy())
    )[0]
    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    theirs = create_transform(**config)(image)
    assert ours.shape == theirs.shape
    grey_levels = (ours - theirs).abs() * max(preprocessing.std)
    # Torch rounds between the two directions of scaling, where Pillow does, too.
    assert grey_levels.max() < 6
    assert grey_levels.mean() < 0.2


def test_loaded_network_is_that_of_timm(cache):
    network = timm_networks.find(TINY)
    model = make(TINY)
    path = put_weights(cache, network, model)
    assert network.available()
    assert network.weights.path == path
    assert network.megabytes == os.path.getsize(path) / 1e6
    loaded = network.load(network.weights.ensure("Tiny"))
    assert not loaded.training
    assert not any(tensor.requires_grad for tensor in loaded.parameters())
    assert "state_dict" not in loaded.pretrained_cfg
    with torch.inference_mode():
        torch.testing.assert_close(loaded(squares(network)), model(squares(network)))


def test_fingerprint_is_of_the_content(cache):
    network = timm_networks.find(TINY)
    assert network.fingerprint is None
    put(cache, network, b"first")
    digest = hashlib.sha256(b"first").hexdigest()
    assert network.fingerprint == f"{digest}:{TINY}"
    put(cache, network, b"second", commit="a" * 40)
    assert network.fingerprint == f"{digest}:{TINY}"  # as long as it is in use
    again = timm_networks.find(TINY)
    digest = hashlib.sha256(b"second").hexdigest()
    assert again.fingerprint == f"{digest}:{TINY}"
    # The same file in a repository that has changed otherwise.
    put(cache, network, b"second", commit="b" * 40)
    assert timm_networks.find(TINY).fingerprint == again.fingerprint


def test_fingerprint_is_found_without_reading_the_file_again(cache, monkeypatch):
    network = timm_networks.find(TINY)
    put(cache, network, b"first")
    expected = network.fingerprint
    read = weights.sha256_of
    monkeypatch.setattr(weights, "sha256_of", None)
    assert timm_networks.find(TINY).fingerprint == expected
    # The hub names a file by its hash.
    put(cache, network, b"second", commit="a" * 40, linked=True)
    digest = hashlib.sha256(b"second").hexdigest()
    assert timm_networks.find(TINY).fingerprint == f"{digest}:{TINY}"
    # Unless that is of another kind.
    monkeypatch.setattr(weights, "sha256_of", read)
    path = put(cache, network, b"third", commit="b" * 40)
    os.rename(path, path + ".blob")
    os.symlink(path + ".blob", path)
    digest = hashlib.sha256(b"third").hexdigest()
    assert timm_networks.find(TINY).fingerprint == f"{digest}:{TINY}"


def test_weights_that_change_before_they_are_loaded(cache):
    network = timm_networks.find(TINY)
    put_weights(cache, network, make(TINY))
    assert network.fingerprint
    other = make(TINY)
    torch.nn.init.zeros_(other.fc.bias)
    put_weights(cache, network, other, commit="a" * 40)
    with pytest.raises(ModelError, match="has changed since it was first used"):
        load_backbone(network)
    load_backbone(timm_networks.find(TINY))


def test_uploaded_again(cache, tmp_path, fresh_cache):
    """Vectors of other weights by the same name are not taken."""
    make_image(0).save(tmp_path / "a.png")
    path = str(tmp_path / "a.png")

    def embed():
        with ImageEmbedder(f"timm:{TINY}", "cpu") as embedder:
            vectors = embedder([path])
            return vectors[0], embedder.statistics.n_cached

    network = timm_networks.find(TINY)
    put_weights(cache, network, make(TINY))
    first, _ = embed()
    again, n_cached = embed()
    assert n_cached == 1
    np.testing.assert_array_equal(again, first)
    other = make(TINY)
    torch.nn.init.constant_(other.conv1[0].weight, 0.01)
    put_weights(cache, network, other, commit="a" * 40)
    second, n_cached = embed()
    assert n_cached == 0
    assert np.abs(second - first).max() > 1e-3


def test_without_weights_it_is_not_known_which_vectors_are_theirs(
    cache, tmp_path, fresh_cache
):
    make_image(0).save(tmp_path / "a.png")
    network = timm_networks.find(TINY)
    put_weights(cache, network, make(TINY))
    with ImageEmbedder(network, "cpu") as embedder:
        embedder([str(tmp_path / "a.png")])
    os.rename(cache, tmp_path / "elsewhere")
    network = timm_networks.find(TINY)
    with ImageEmbedder(network, "cpu") as embedder:
        with pytest.raises(ModelError, match="could not be downloaded"):
            embedder([str(tmp_path / "a.png")])
        with pytest.raises(ModelError, match="not on this computer"):
            embedder.clear_cache()


def test_second_best_file(cache, tmp_path):
    network, model = timm_networks.find(TINY), make(TINY)
    torch.save(model.state_dict(), tmp_path / "weights")
    put(cache, network, (tmp_path / "weights").read_bytes(), "pytorch_model.bin")
    with torch.inference_mode():
        scores = load_backbone(network, "logits")(squares(network))
        torch.testing.assert_close(scores, model(squares(network)))


@pytest.mark.parametrize(
    "name, classifier",
    [
        (TINY, "fc"),
        ("test_vit", "head"),
        ("test_efficientnet", "classifier"),
        ("test_convnext", "head.fc"),
        ("test_nfnet", "head.fc"),
        ("mobilenetv3_small_050", "classifier"),
        ("swin_tiny_patch4_window7_224", "head.fc"),
    ],
)
def test_classifier_after_the_penultimate_layer_gives_the_logits(name, classifier):
    network, model = timm_networks.find(name), make(name)
    batch = squares(network, 1)
    with torch.inference_mode():
        logits = network.read_layer(model, "logits")(batch)
        classifier = model.get_submodule(classifier)
        vectors = network.read_layer(model, "penultimate")(batch)
        assert vectors.ndim == 2
        torch.testing.assert_close(classifier(vectors), logits)


def test_vgg_is_read_after_its_first_linear_layers():
    network = timm_networks.find("vgg11")
    with torch.device("meta"):
        model = timm.create_model("vgg11").eval()
    model = network.read_layer(model, "penultimate")
    assert model(squares(network).to("meta")).shape == (2, 4096)


def test_network_without_classifier(cache):
    network = timm_networks.find("vit_small_patch14_dinov2")
    put_weights(cache, network, make("vit_small_patch14_dinov2"))
    with torch.inference_mode():
        assert load_backbone(network)(squares(network, 1)).shape == (1, 384)
    with pytest.raises(ValueError, match=r"no classifier.*blocks\.0, .*blocks\.11"):
        load_backbone(network, "logits")


@pytest.mark.parametrize(
    "name, first, last",
    [
        ("resnet50", "act1", "layer4"),
        ("vit_small_patch14_dinov2", "blocks.0", "blocks.11"),
        ("convnext_tiny", "stages.0", "stages.3"),
        ("swin_tiny_patch4_window7_224", "layers.0", "layers.3"),
        ("regnetv_040", "stem", "s4"),  # computes while it is built
    ],
)
def test_stages_need_no_weights(name, first, last):
    stages = timm_networks.find(name).stages()
    assert (stages[0], stages[-1]) == (first, last)


def test_stages_have_names_and_each_once():
    # Two branches, and a first stage without a name.
    for name in ("crossvit_9_240", "tresnet_m"):
        stages = timm_networks.find(name).stages()
        assert all(stages)
        assert len(set(stages)) == len(stages)


@pytest.mark.parametrize("name", [TINY, "test_vit", "test_efficientnet"])
def test_stages(cache, name):
    network, model = timm_networks.find(name), make(name)
    put_weights(cache, network, model)
    batch = squares(network)
    with torch.inference_mode():
        maps = model.forward_intermediates(batch, intermediates_only=True)
        stages = network.stages()
        assert len(maps) == len(stages)
        for stage, expected in zip(stages, maps, strict=True):
            vectors = load_backbone(network, stage)(batch)
            torch.testing.assert_close(vectors, expected.mean((2, 3)))


def test_what_follows_a_stage_is_not_computed():
    network, model = timm_networks.find(TINY), make(TINY)
    ran = []
    for name in ("layer2", "layer3", "layer4"):
        model.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, _output, name=name: ran.append(name)
        )
    with torch.inference_mode():
        network.read_layer(model, "layer2")(squares(network))
    assert ran == ["layer2"]


def test_any_other_module(cache):
    network, model = timm_networks.find(TINY), make(TINY)
    expected = []
    model.get_submodule("layer3.0").register_forward_hook(
        lambda _module, _inputs, output: expected.append(output.mean((2, 3)))
    )
    put_weights(cache, network, model)
    with torch.inference_mode():
        model(squares(network))
        vectors = load_backbone(network, "layer3.0")(squares(network))
        torch.testing.assert_close(vectors, expected[0])


def test_unknown_layer(cache):
    network = timm_networks.find(TINY)
    put_weights(cache, network, make(TINY))
    with pytest.raises(ValueError, match=r"'layer9'.*named stages: act1, layer1"):
        load_backbone(network, "layer9")


def test_stages_in_several_threads(cache):
    network = timm_networks.find("test_vit")
    put_weights(cache, network, make("test_vit"))
    backbone = load_backbone(network, "blocks.3")
    batches = [squares(network, n) for n in (1, 2, 3, 4)]
    results = {}

    def work(index):
        with torch.inference_mode():
            results[index] = [backbone(batches[index]) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, batch in enumerate(batches):
        with torch.inference_mode():
            for vectors in results[index]:
                torch.testing.assert_close(vectors, backbone(batch))


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("archive", [True, False])
def test_code_in_a_weight_file_does_not_run(
    cache, tmp_path, monkeypatch, file, archive
):
    evil = tmp_path / "evil"
    monkeypatch.setenv("EVIL", str(evil))
    if archive:
        torch.save({"fc.weight": Evil()}, tmp_path / "saved")
        content = (tmp_path / "saved").read_bytes()
    else:
        content = pickle.dumps({"fc.weight": Evil()}, protocol=2)
    network = timm_networks.find(TINY)
    path = put(cache, network, content, file)
    with pytest.raises(ModelError) as error:
        load_backbone(network)
    assert path in str(error.value)
    assert not evil.exists()


def test_damaged_weights(cache):
    network = timm_networks.find(TINY)
    content = safetensors.save(make(TINY).state_dict())
    path = put(cache, network, content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be read") as error:
        load_backbone(network)
    assert path in str(error.value)


@pytest.mark.parametrize("name", [TINY, "test_vit", "test_efficientnet"])
def test_weights_of_another_network(cache, name):
    network = timm_networks.find(name)
    path = put_weights(cache, network, make("test_convnext"))
    with pytest.raises(ModelError, match="not for this network") as error:
        load_backbone(network)
    assert path in str(error.value)


def test_no_weights(cache):
    network = timm_networks.find(TINY)
    with pytest.raises(ModelError, match=r"hf download timm/test_resnet\.r160_in1k"):
        load_backbone(network)


def test_weights_outside_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    network = timm_networks.find("legacy_seresnet18")
    assert isinstance(network.weights, DownloadedWeights)
    assert network.weights.path.startswith(str(tmp_path))
    model = make("legacy_seresnet18")
    torch.save(model.state_dict(), tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    url = f"http://x/y-{digest[:8]}.pth"
    moved = dataclasses.replace(network.weights, url=url)
    network = dataclasses.replace(network, weights=moved)
    os.makedirs(os.path.dirname(moved.path))
    os.rename(tmp_path / "weights", moved.path)
    with torch.inference_mode():
        scores = load_backbone(network, "logits")(squares(network))
        torch.testing.assert_close(scores, model(squares(network)))


@pytest.mark.parametrize("name", [TINY, "test_efficientnet", "test_nfnet"])
def test_batch_norms_with_an_activation_are_not_folded(name):
    model = make(name)
    batch = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = pool(model(batch))
        fuse_batch_norms(model)
        torch.testing.assert_close(model(batch), expected, rtol=1e-4, atol=1e-5)
