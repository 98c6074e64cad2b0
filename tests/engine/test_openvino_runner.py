import dataclasses
import functools
import hashlib
import logging
import subprocess
import sys
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from helpers import make_network_file
from torch import nn
from torchvision import models

from orangecontrib.imageanalytics.engine import compiled, openvino_runner
from orangecontrib.imageanalytics.engine import runner as runners
from orangecontrib.imageanalytics.engine.openvino_runner import OpenVinoRunner
from orangecontrib.imageanalytics.engine.probing import least_cosine
from orangecontrib.imageanalytics.engine.runner import choose_runner
from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.networks import backbone, layers
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

LITE = EmbeddingSpec.choose("efficientnet-lite0")
SQUEEZENET = EmbeddingSpec.choose("squeezenet")
CONVERTED = find_network("mobilenet-v3-large")


def squares(spec, n=2):
    size = spec.network.input_size
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def run(runner, batch, cancelled=None):
    return runner(batch, cancelled or threading.Event())


def with_precision(spec, precision):
    return dataclasses.replace(spec, precision=precision)


def single(spec, **kwargs):
    return OpenVinoRunner(with_precision(spec, "float32"), "cpu", **kwargs)


@pytest.fixture
def own(nothing_compiled, monkeypatch):
    """A spec of a module of our own, for images of 32 x 32."""

    def own_(module, size=32, layer="penultimate"):
        module = layers.Pooled(module).eval().requires_grad_(False)
        loads = []

        def load(*_):
            loads.append(module)
            return module

        monkeypatch.setattr(backbone, "load_backbone", load)
        weights = dataclasses.replace(LITE.network.weights, sha256=f"{id(module):x}")
        preprocessing = dataclasses.replace(LITE.preprocessing, size=size)
        network = dataclasses.replace(
            CONVERTED,
            weights=weights,
            input_size=size,
            preprocessing=preprocessing,
        )
        spec = EmbeddingSpec(network, layer, network.preprocessing)
        spec.loads = loads
        return spec

    EmbeddingSpec.__setattr__ = object.__setattr__
    yield own_
    del EmbeddingSpec.__setattr__


class Small(nn.Module):
    """A convolution and a mean of its map."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 5, 3)

    def forward(self, x):
        return self.convolution(x)


# The same vectors as torch ------------------------------------------------------------


def assert_alike(spec):
    batch = squares(spec)
    runner = single(spec)
    found, precision = run(runner, batch)
    assert runner._substitute is None
    expected, _ = run(TorchRunner(spec, "cpu"), batch)
    assert precision == "float32"
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("layer", [None, "logits", "penultimate", "features.5"])
def test_squeezenet(layer, fresh_cache):
    assert_alike(EmbeddingSpec.choose("squeezenet", layer))


@pytest.mark.parametrize("layer", [None, "logits"])
@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_efficientnet_lite(name, layer, fresh_cache):
    assert_alike(EmbeddingSpec.choose(name, layer))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("convnext_tiny", "penultimate"),
        ("densenet121", "penultimate"),
        ("efficientnet_b0", "logits"),
        ("googlenet", "penultimate"),
        ("inception_v3", "penultimate"),
        ("maxvit_t", "penultimate"),
        ("mobilenet_v3_small", "features.4"),
        ("regnet_y_400mf", "penultimate"),
        ("resnet18", "layer2"),
        ("shufflenet_v2_x0_5", "penultimate"),
        ("swin_v2_t", "penultimate"),
        ("vgg11_bn", "features.8"),
        ("vit_b_32", "penultimate"),
        ("vit_b_32", "encoder.layers.encoder_layer_1"),
    ],
)
def test_networks_of_torchvision(name, layer, own):
    torch.manual_seed(0)
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    module = getattr(models, name)(**options).eval().requires_grad_(False)
    network = dataclasses.replace(LITE.network, name=name)
    size = 299 if name == "inception_v3" else 224
    part = network.read_layer(module, layer)
    assert_alike(own(part, size))


@pytest.mark.parametrize(
    "name", ["test_vit.r160_in1k", "test_convnext.r160_in1k", "test_resnet.r160_in1k"]
)
def test_networks_of_timm(name, own):
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    module = timm.create_model(name, num_classes=0).eval().requires_grad_(False)
    assert_alike(own(module, 160))


def test_channels_and_means(own):
    spec = own(nn.Identity())
    preprocessing = dataclasses.replace(
        spec.network.preprocessing,
        mean=(10, 20, 30),
        std=(1, 2, 4),
        channels="BGR",
    )
    network = dataclasses.replace(spec.network, preprocessing=preprocessing)
    spec = EmbeddingSpec(network, "penultimate", network.preprocessing)
    batch = np.zeros((1, 32, 32, 3), np.uint8)
    batch[:] = 200, 100, 50
    found, _ = run(single(spec), batch)
    np.testing.assert_allclose(found, [[40, 40, 42.5]], rtol=1e-5)


# What is kept ------------------------------------------------------------------------


def test_a_network_is_made_once(own):
    spec = own(Small())
    first, _ = run(single(spec), squares(spec))
    second, _ = run(single(spec), squares(spec))
    np.testing.assert_array_equal(first, second)
    assert len(spec.loads) == 1
    other = EmbeddingSpec(spec.network, "logits", spec.network.preprocessing)
    run(single(other), squares(spec))
    assert len(spec.loads) == 2


def imported(network, photo):
    """Which of three packages are imported when an image is embedded."""
    code = (
        "import dataclasses, sys\n"
        "from orangecontrib.imageanalytics.image_embedder import ImageEmbedder\n"
        "from orangecontrib.imageanalytics.networks.registry import find_network\n"
        f"network = {network}\n"
        "with ImageEmbedder(network, 'cpu', cache=False) as embedder:\n"
        f"    assert len(embedder([{photo!r}])[0]) == network.n_features\n"
        "print(*(name in sys.modules for name in ('torch', 'torchvision')),\n"
        "      sys.modules['openvino_telemetry'])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return answer.stdout.split()


@pytest.mark.parametrize(
    "name", ["efficientnet-lite0", "efficientnet-lite2", "squeezenet"]
)
def test_no_torch_for_networks_that_come_with_the_add_on(name, photos, fresh_cache):
    for _ in range(2):  # made, and kept
        found = imported(f"find_network({name!r})", photos[0])
        assert found == ["False", "False", "None"]


def test_no_torch_for_a_network_that_is_kept(
    photos, fresh_cache, tmp_path, monkeypatch
):
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(models.mobilenet_v3_large().state_dict(), folder / "net.pth")
    digest = hashlib.sha256((folder / "net.pth").read_bytes()).hexdigest()[:8]
    (folder / "net.pth").rename(folder / f"net-{digest}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = (
        "find_network('mobilenet-v3-large'); network = dataclasses.replace(network, "
        "weights=dataclasses.replace(network.weights, "
        f"url='https://example.com/net-{digest}.pth'))"
    )
    assert imported(network, photos[0]) == ["True", "True", "None"]
    assert imported(network, photos[0]) == ["False", "False", "None"]


def test_versions_of_torch_do_not_matter_to_what_is_made_without(monkeypatch):
    """Only those of OpenVINO."""

    def paths():
        converted = EmbeddingSpec.choose(
            dataclasses.replace(CONVERTED, weights=LITE.network.weights)
        )
        return compiled._path(LITE), compiled._path(converted)

    before = paths()
    with monkeypatch.context() as patch:
        patch.setattr(
            compiled, "_version", lambda name: name if name == "torch" else ""
        )
        patched = paths()
        patch.setattr(compiled, "_version", lambda name: "")
        without = paths()
    assert patched[0] == without[0] != before[0]
    assert patched[1] != without[1]


def cut(file):
    file.write_bytes(file.read_bytes()[:-9])


def change(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, change, lambda file: file.unlink()])
@pytest.mark.parametrize("ending", ["xml", "bin", "json"])
def test_what_is_damaged_is_made_anew(ending, damage, own, nothing_compiled, caplog):
    spec = own(Small())
    expected, _ = run(single(spec), squares(spec))
    (file,) = nothing_compiled.glob(f"*.{ending}")
    damage(file)
    for _ in range(2):
        found, _ = run(single(spec), squares(spec))
        np.testing.assert_array_equal(found, expected)
    # A changed letter of the JSON may also say nothing of its checksums.
    assert len(spec.loads) == 2 or (ending, damage) == ("json", change)


def test_what_somebody_else_has_compiled(own, monkeypatch):
    spec = own(Small())
    run(single(spec), squares(spec))

    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(compiled.os, "utime", refuse)
    run(single(spec), squares(spec))
    assert len(spec.loads) == 1


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"n_bytes": null}', '{"n_bytes": 1, "trials": {"a": "b"}}']
)
def test_json_that_says_something_else(text, own, nothing_compiled):
    spec = own(Small())
    expected, _ = run(single(spec), squares(spec))
    (file,) = nothing_compiled.glob("*.json")
    file.write_text(text)
    for _ in range(2):
        runner = OpenVinoRunner(spec, "cpu")
        found, _ = run(runner, squares(spec))
        np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)
    assert len(spec.loads) == 2


@pytest.mark.parametrize("problem", ["no folder", "no space"])
def test_where_nothing_can_be_kept(problem, own, nothing_compiled, monkeypatch, caplog):
    spec = own(Small())
    if problem == "no folder":
        nothing_compiled.write_bytes(b"a file")
    else:

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(compiled, "_write_about", full)
    for _ in range(2):
        found, _ = run(single(spec), squares(spec))
    expected, _ = run(TorchRunner(spec, "cpu"), squares(spec))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert "is not kept" in caplog.text


def test_a_disk_that_is_full_is_named(own, nothing_compiled, monkeypatch, caplog):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(compiled.shutil, "disk_usage", lambda _: usage(9, 9, 0))
    spec = own(Small())
    run(single(spec), squares(spec))
    assert f"No space left on device: '{nothing_compiled}'" in caplog.text
    assert not list(nothing_compiled.iterdir())


def test_what_was_not_used_for_longest_makes_room(own, nothing_compiled, monkeypatch):
    modules = [Small() for _ in range(3)]
    monkeypatch.setattr(compiled, "_MOST_BYTES", 0)
    for number, module in enumerate(modules):
        spec = own(module)
        run(single(spec), squares(spec))
        assert len(list(nothing_compiled.glob("*.xml"))) == 1, number


# What OpenVINO does not take ---------------------------------------------------------


class Odd(nn.Module):
    """Goes another way for images whose mean is positive."""

    def forward(self, x):
        return x if x.mean() > 0 else 3 * x


class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


class Unknown(nn.Module):
    def forward(self, x):
        return torch.special.bessel_j0(x)


def probes_differ(monkeypatch):
    """Images whose means have different signs, for tracing and comparing."""
    randn = torch.randn

    def signed(*shape, generator):
        return randn(*shape, generator=generator).abs() * (
            1 if generator.initial_seed() else -1
        )

    monkeypatch.setattr(torch, "randn", signed)


@pytest.mark.parametrize("module", [Odd, Random, Unknown])
def test_what_is_not_right_runs_in_torch(module, own, caplog, monkeypatch):
    probes_differ(monkeypatch)
    spec = own(module())
    runner = single(spec)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            found, precision = run(runner, squares(spec))
    assert precision == runner.precision == "float32"
    assert runner.device_name == "CPU"
    assert caplog.text.count("runs in torch") == 1
    if module is not Random:
        expected, _ = run(TorchRunner(spec, "cpu"), squares(spec))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_files_of_networks_run_in_torch(tmp_path, fresh_cache, caplog):
    path = make_network_file(tmp_path / "network.pt")
    spec = EmbeddingSpec.choose(
        path, preprocessing={"size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}
    )
    with caplog.at_level(logging.INFO):
        runner = single(spec)
        found, _ = run(runner, squares(spec))
    assert "files of networks are not compiled" in caplog.text
    assert runner.threads_per_stream == 1
    expected, _ = run(TorchRunner(spec, "cpu"), squares(spec))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_threads_of_torch_are_restored(tmp_path, fresh_cache):
    path = make_network_file(tmp_path / "network.pt")
    spec = EmbeddingSpec.choose(
        path, preprocessing={"size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}
    )
    before = torch.get_num_threads()
    runner, inside = single(spec), []

    def work():
        run(runner, squares(spec))
        inside.append(torch.get_num_threads())

    for _ in range(2):  # the second time it is known
        with runner.sharing():
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert torch.get_num_threads() == before
    assert inside == [1, 1]


def test_threads_of_torch_after_a_run_that_was_stopped(tmp_path, fresh_cache):
    path = make_network_file(tmp_path / "network.pt")
    spec = EmbeddingSpec.choose(
        path, preprocessing={"size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}
    )
    before = torch.get_num_threads()
    runner, cancelled = single(spec), threading.Event()
    with pytest.raises(KeyError), runner.sharing():
        raise KeyError
    # Its thread goes on, and finds that the network is for torch.
    thread = threading.Thread(target=run, args=(runner, squares(spec)))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == before
    cancelled.set()
    with pytest.raises(Cancelled):
        run(runner, squares(spec), cancelled)
    with runner.sharing(), runner.sharing():
        run(runner, squares(spec))
    torch.set_num_threads(before)
    assert runner._torch_threads is None


def test_what_is_wrong_with_a_network_is_not_hidden(own, monkeypatch):
    spec = own(Small())

    def fail(*_):
        raise ModelError("the weights are damaged")

    monkeypatch.setattr(backbone, "load_backbone", fail)
    with pytest.raises(ModelError, match="damaged"):
        single(spec).load()


# Precision ---------------------------------------------------------------------------


@pytest.fixture
def capable(monkeypatch):
    """A processor with instructions for shorter precisions: how alike, how fast."""

    def capable_(**trials):
        monkeypatch.setattr(OpenVinoRunner, "_capable", lambda _: list(trials))
        measured = []

        def try_(_, __, precision, squares):
            measured.append(precision)
            cosine, speedup = trials.get(precision, (1, 1))
            angle = np.arccos(cosine)
            vectors = np.array([[np.cos(angle), np.sin(angle)]] * len(squares))
            return vectors, 1 / speedup

        monkeypatch.setattr(OpenVinoRunner, "_try", try_)
        return measured

    return capable_


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ({}, "float32"),
        ({"bfloat16": (0.9995, 2)}, "bfloat16"),
        ({"bfloat16": (0.9995, 1.05)}, "float32"),  # emulated, or nearly
        ({"bfloat16": (0.998, 2)}, "float32"),
        ({"bfloat16": (0.998, 3), "float16": (0.9999, 2)}, "float16"),
        ({"bfloat16": (0.9999, 2), "float16": (0.9999, 3)}, "float16"),
    ],
)
def test_automatic_precision(trials, expected, own, capable, monkeypatch):
    measured = capable(**trials)
    hints = []
    compile_ = OpenVinoRunner._compile
    monkeypatch.setattr(
        OpenVinoRunner,
        "_compile",
        lambda runner, model, precision: (
            hints.append(precision) or compile_(runner, model, "float32")
        ),
    )
    spec = own(Small())
    runner = OpenVinoRunner(spec, "cpu")
    assert runner.precision == "float32"
    assert run(runner, squares(spec))[1] == runner.precision == expected
    assert hints == [expected]
    del measured[:]
    # It is known from now on, also before the network is loaded.
    runner = OpenVinoRunner(spec, "cpu")
    assert runner.precision == expected
    runner.load()
    assert runner.precision == expected and not measured
    # On another processor it is tried again.
    monkeypatch.setattr(OpenVinoRunner, "_key", lambda _, name: f"{name} elsewhere")
    runner = OpenVinoRunner(spec, "cpu")
    assert runner.precision == "float32"
    runner.load()
    assert runner.precision == expected
    assert sorted(measured) == sorted([*trials, *(["float32"] if trials else [])])


@pytest.mark.filterwarnings("ignore:This processor has no instructions")
def test_what_the_processor_emulates_runs_in_torch(own, monkeypatch):
    monkeypatch.setattr(OpenVinoRunner, "_capable", lambda _: [])
    spec = own(Small())
    runner = OpenVinoRunner(with_precision(spec, "bfloat16"), "cpu")
    vectors, precision = run(runner, squares(spec))
    assert precision == runner.precision == "bfloat16"
    assert isinstance(runner._substitute, TorchRunner)
    expected, _ = run(single(spec), squares(spec))
    np.testing.assert_allclose(vectors, expected, atol=0.05)


def test_shorter_precision_where_there_is_one(fresh_cache):
    runner = OpenVinoRunner(SQUEEZENET, "cpu")
    for precision in runner._capable():
        short = OpenVinoRunner(with_precision(SQUEEZENET, precision), "cpu")
        vectors, used = run(short, squares(SQUEEZENET))
        expected, _ = run(single(SQUEEZENET), squares(SQUEEZENET))
        assert used == precision
        assert least_cosine(vectors, expected) > 0.99


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_precision_that_openvino_would_replace(precision, own):
    spec = own(Small())
    runner = single(spec)
    runner.load()
    if precision in runner._capable():
        assert runner._compile(runner._compiled.model, precision)
    else:
        with pytest.raises(compiled.Refused):
            runner._compile(runner._compiled.model, precision)


def test_a_precision_that_does_not_work_here(own, monkeypatch):
    compile_ = OpenVinoRunner._compile

    def refuse(runner, model, precision):
        if precision != "float32":
            raise compiled.Refused("not for this layer")
        return compile_(runner, model, precision)

    monkeypatch.setattr(OpenVinoRunner, "_compile", refuse)
    monkeypatch.setattr(OpenVinoRunner, "_capable", lambda _: ["bfloat16"])
    runner = OpenVinoRunner(own(Small()), "cpu")
    runner.load()
    assert runner._substitute is None and runner.precision == "float32"


def test_what_another_computer_has_tried(own, capable, monkeypatch):
    capable(bfloat16=(0.9999, 2))
    spec = own(Small())
    monkeypatch.setattr(
        OpenVinoRunner, "_compile", lambda runner, model, precision: precision
    )
    runner = OpenVinoRunner(spec, "cpu")
    runner.load()
    assert runner.precision == "bfloat16"
    monkeypatch.setattr(OpenVinoRunner, "_capable", lambda _: [])
    assert OpenVinoRunner(spec, "cpu").precision == "float32"


def test_overflow_in_a_shorter_precision_is_computed_again(own, monkeypatch):
    spec = own(Small())
    runner = single(spec)
    expected, _ = run(runner, squares(spec))
    run_all = OpenVinoRunner._run_all

    def overflow(runner_, network, *args):
        vectors = run_all(runner_, network, *args)
        return vectors if network is runner_._single else vectors * np.inf

    monkeypatch.setattr(OpenVinoRunner, "_run_all", overflow)
    runner._precision = "float16"
    for _ in range(2):
        vectors, precision = run(runner, squares(spec))
        assert precision == "float32"
        np.testing.assert_allclose(vectors, expected, rtol=1e-5)


def test_cosines():
    one = np.float32([[1, 0], [3, 4]])
    assert least_cosine(one, one) == pytest.approx(1)
    assert least_cosine(one, one[::-1]) == pytest.approx(0.6)
    assert least_cosine(one * np.nan, one) == 0
    assert least_cosine(one * 0, one) == 0


# Cancel ------------------------------------------------------------------------------


def test_cancel_while_it_runs(own):
    deep = nn.Sequential(*[nn.Conv2d(3, 3, 31, padding=15) for _ in range(6)])
    spec = own(deep, 256)
    runner = single(spec)
    runner.load()
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    start = time.perf_counter()
    with pytest.raises(Cancelled):
        run(runner, squares(spec, 200), cancelled)
    assert time.perf_counter() - start < 3
    assert run(runner, squares(spec, 1))[0].shape == (1, 3)


def test_cancelled_before(own):
    spec = own(Small())
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        run(single(spec), squares(spec), cancelled)


# The choice --------------------------------------------------------------------------


@pytest.fixture
def gpus(monkeypatch):
    def gpus_(may_have):
        monkeypatch.setattr(runners, "may_have_gpu", lambda: may_have)

    gpus_(False)
    return gpus_


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize("may_have_gpu", [True, False])
def test_the_cpu_is_openvinos(device, may_have_gpu, gpus, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    gpus(may_have_gpu)
    for engine in ("auto", "openvino"):
        runner = choose_runner(LITE, device, engine=engine)
        assert isinstance(runner, OpenVinoRunner)
    assert isinstance(choose_runner(LITE, device, engine="torch"), TorchRunner)


def test_without_openvino(gpus, monkeypatch):
    monkeypatch.setattr(runners, "_has_openvino", lambda: False)
    assert isinstance(choose_runner(LITE, "cpu"), TorchRunner)
    for options in ({"engine": "openvino"}, {"device": "intel-gpu"}):
        with pytest.raises(ValueError, match="OpenVINO cannot be used"):
            choose_runner(LITE, **options)


def test_openvino_that_does_not_start(gpus, monkeypatch, caplog):
    def fail():
        raise ImportError("libtbb.so: cannot open shared object file")

    monkeypatch.setattr(runners, "library", fail)
    monkeypatch.setattr(
        runners, "_has_openvino", functools.cache(runners._has_openvino.__wrapped__)
    )
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert isinstance(choose_runner(LITE, "cpu"), TorchRunner)
    assert caplog.text.count("libtbb.so") == 1


def test_impossible_choices(gpus):
    with pytest.raises(ValueError, match="'fast' is not an engine"):
        choose_runner(LITE, engine="fast")
    with pytest.raises(ValueError, match="OpenVINO does not run on 'cuda'"):
        choose_runner(LITE, "cuda", engine="openvino")
    with pytest.raises(ValueError, match="'float8' is not a precision"):
        choose_runner(with_precision(LITE, "float8"))
    with pytest.raises(ValueError, match="'nothing' is not a device"):
        choose_runner(LITE, "nothing")


def test_devices_that_openvino_alone_knows(gpus, monkeypatch):
    if "NPU" in compiled.library().Core().available_devices:
        pytest.skip("there is one")
    with pytest.raises(ValueError, match="OpenVINO finds no device 'intel-npu'"):
        choose_runner(LITE, "intel-npu")


# Batches -----------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "expected"), [(1, 4), (10**6, 16)])
def test_small_networks_have_larger_batches(limit, expected, own, monkeypatch):
    monkeypatch.setattr(openvino_runner, "LARGE_BYTES", limit)
    spec = own(Small())
    runner = single(spec)
    assert runner.batch_size == 4
    runner.load()
    assert runner.batch_size == expected
    assert single(spec).batch_size == expected  # known, though not loaded
    assert single(spec, batch_size=7).batch_size == 7
