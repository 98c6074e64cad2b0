import dataclasses
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import FakeStream
from torch import nn

from orangecontrib.imageanalytics.engine import streams
from orangecontrib.imageanalytics.engine import torch_runner as module
from orangecontrib.imageanalytics.engine.probing import (
    LEAST_COSINE,
    least_cosine,
    probe_squares,
)
from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner
from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.networks import backbone
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

LITE = EmbeddingSpec.choose("efficientnet-lite0")
CPU = torch.device("cpu")


class Toy(nn.Module):
    """Mean of each channel; fails when told to."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.batches = []
        self.failure = lambda n: None

    def forward(self, x):
        if error := self.failure(len(x)):
            raise error
        self.batches.append(len(x))
        return self.pool(x).flatten(1)


@pytest.fixture
def toy(monkeypatch):
    toy = Toy()
    monkeypatch.setattr(backbone, "load_backbone", lambda *_, **__: toy)
    return toy


class FakeGpu:
    """Stands for a GPU wherever the runner looks at a device."""

    type = "cuda"
    index = 0

    def __eq__(self, other):
        return isinstance(other, FakeGpu)

    __hash__ = None


@pytest.fixture
def gpu(toy, monkeypatch):
    """A toy network on a toy GPU: the arithmetic is done by the CPU."""
    monkeypatch.setattr(module, "choose_device", lambda name: FakeGpu())
    monkeypatch.setattr(module, "describe_device", lambda device: "Toy GPU")
    monkeypatch.setattr(module, "Stream", FakeStream)
    monkeypatch.setattr(streams, "Stream", FakeStream)
    worker = streams.Worker(FakeGpu())
    monkeypatch.setattr(module, "find_worker", lambda *_: worker)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(toy, "to", lambda device: toy)
    monkeypatch.setattr(module, "shortened", lambda *_: None)
    forward = TorchRunner.forward

    def on_cpu(self, squares, device, precision):
        return forward(self, squares, torch.device("cpu"), precision)

    monkeypatch.setattr(TorchRunner, "forward", on_cpu)
    return toy


def squares(n):
    rng = np.random.default_rng(n)
    return rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)


def expected(batch):
    return ((batch.astype(np.float32) - 127) / 128).mean((1, 2))


def with_precision(spec, precision):
    return dataclasses.replace(spec, precision=precision)


def loaded(*args, precision=None, **kwargs):
    runner = TorchRunner(with_precision(LITE, precision), *args, **kwargs)
    runner.load()
    return runner


def run(runner, batch):
    return runner(batch, threading.Event())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batch_size_does_not_matter(toy, batch_size):
    runner = loaded("cpu", batch_size)
    vectors, precision = run(runner, squares(7))
    np.testing.assert_allclose(vectors, expected(squares(7)), rtol=1e-5, atol=1e-6)
    assert precision == "float32"
    assert max(toy.batches) <= batch_size


def test_out_of_gpu_memory_halves_the_batch(gpu):
    runner = loaded()
    assert runner.batch_size == 64
    gpu.failure = lambda n: RuntimeError("CUDA out of memory.") if n > 10 else None
    vectors, precision = run(runner, squares(64))
    np.testing.assert_allclose(vectors, expected(squares(64)), atol=1e-2)
    assert runner.batch_size == 8
    assert precision == "float16"
    assert gpu.batches == [8] * 8


@pytest.mark.parametrize("message", ["CUDA error: device lost", "CUDA out of memory."])
def test_a_gpu_that_fails_makes_way_for_the_cpu(gpu, message):
    runner = loaded()
    gpu.failure = lambda n: (
        RuntimeError(message) if isinstance(runner.device, FakeGpu) else None
    )
    with pytest.warns(RuntimeWarning, match="Toy GPU failed, so the CPU is used"):
        vectors, precision = run(runner, squares(9))
    np.testing.assert_allclose(vectors, expected(squares(9)), rtol=1e-5, atol=1e-6)
    assert precision == runner.precision == "float32"
    assert runner.device == torch.device("cpu")


def test_of_a_gpu_that_is_lost_nothing_is_copied(gpu, monkeypatch):
    runner = loaded()
    on_gpu = runner._module
    fresh = Toy()
    monkeypatch.setattr(backbone, "load_backbone", lambda *_, **__: fresh)

    def fail(*_):
        raise RuntimeError("CUDA error: device lost")

    monkeypatch.setattr(on_gpu, "to", fail)
    gpu.failure = fail
    with pytest.warns(RuntimeWarning, match="Toy GPU failed, so the CPU is used"):
        vectors, _ = run(runner, squares(2))
    np.testing.assert_allclose(vectors, expected(squares(2)), rtol=1e-5, atol=1e-6)
    assert runner._module is fresh


def test_a_network_that_does_not_fit_the_gpu_makes_way_for_the_cpu(gpu, monkeypatch):
    def to(device):
        if isinstance(device, FakeGpu):
            raise RuntimeError("CUDA out of memory.")
        return gpu

    monkeypatch.setattr(gpu, "to", to)
    with pytest.warns(RuntimeWarning, match="Toy GPU failed, so the CPU is used"):
        runner = loaded()
    vectors, _ = run(runner, squares(2))
    np.testing.assert_allclose(vectors, expected(squares(2)), rtol=1e-5, atol=1e-6)


def test_networks_that_know_no_gpu_run_on_the_cpu(gpu, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "choose_device", lambda name: asked.append(name) or torch.device("cpu")
    )
    network = dataclasses.replace(LITE.network, cpu_only=True)
    TorchRunner(dataclasses.replace(LITE, network=network), "cuda")
    assert asked == ["cpu"]


def test_out_of_memory_on_the_cpu(toy):
    toy.failure = lambda n: RuntimeError("DefaultCPUAllocator: can't allocate memory")
    runner = loaded("cpu", 4)
    with pytest.raises(ModelError, match="not enough memory"):
        run(runner, squares(4))
    toy.failure = lambda n: None
    run(runner, squares(4))


def test_other_errors_of_the_cpu_are_not_swallowed(toy):
    toy.failure = lambda n: RuntimeError("sizes of tensors must match")
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        run(loaded("cpu"), squares(1))


def test_overflow_in_half_precision_is_computed_again(gpu, monkeypatch):
    runner = loaded()

    def forward(x):
        return x.mean((2, 3)) / (0 if torch.is_autocast_enabled("cpu") else 1)

    monkeypatch.setattr(gpu, "forward", forward)
    vectors, precision = run(runner, squares(2))
    assert np.isfinite(vectors).all()
    assert precision == "float32"


def test_cancel_is_heard_between_layers():
    runner = loaded("cpu")
    cancelled = threading.Event()
    layers = [m for m in runner._module.modules() if not list(m.children())]
    seen = []
    layers[5].register_forward_hook(lambda *_: cancelled.set())
    layers[8].register_forward_hook(lambda *_: seen.append(1))
    size = LITE.network.input_size
    with pytest.raises(Cancelled):
        runner(np.zeros((1, size, size, 3), np.uint8), cancelled)
    assert not seen


@pytest.mark.filterwarnings("ignore:This processor has no instructions")
def test_bfloat16_is_close():
    size = LITE.network.input_size
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    single, _ = run(loaded("cpu"), batch)
    half, precision = run(loaded("cpu", precision="bfloat16"), batch)
    assert precision == "bfloat16"
    assert half.dtype == np.float32
    cosine = (single * half).sum(1)
    cosine /= np.linalg.norm(single, axis=1) * np.linalg.norm(half, axis=1)
    assert cosine.min() > 0.99


def test_threads_take_turns_on_a_gpu(gpu):
    runner = loaded(batch_size=3)
    batches = [squares(n) for n in range(1, 9)]
    inside = []

    def failure(_n):
        inside.append(threading.get_ident())
        time.sleep(0.002)
        assert inside.pop() == threading.get_ident()

    gpu.failure = failure
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda batch: run(runner, batch)[0], batches))
    for batch, vectors in zip(batches, answers, strict=True):
        np.testing.assert_allclose(vectors, expected(batch), atol=1e-2)


@pytest.mark.parametrize("n, computed", [(1, 8), (8, 8), (9, 64), (64, 64)])
def test_batches_of_a_gpu_have_one_of_two_sizes(gpu, n, computed):
    vectors, _ = run(loaded(), squares(n))
    np.testing.assert_allclose(vectors, expected(squares(n)), atol=1e-2)
    assert gpu.batches == [computed]


def test_the_half_network_computes_if_there_is_one(gpu, monkeypatch):
    half, asked = Toy(), []
    monkeypatch.setattr(module, "shortened", lambda *about: asked.append(about) or half)
    runner = loaded()
    vectors, precision = run(runner, squares(64))
    assert asked == [(gpu, runner.spec, "float16", FakeGpu())]
    assert precision == "float16"
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected(squares(64)), atol=1e-2)
    assert (half.batches, gpu.batches) == ([64], [])
    half.forward = lambda x: half.pool(x).flatten(1) / 0
    vectors, precision = run(runner, squares(64))
    np.testing.assert_allclose(vectors, expected(squares(64)), rtol=1e-5, atol=1e-6)
    assert precision == "float32"
    assert gpu.batches == [64]


# Closing ----------------------------------------------------------------------------


def test_a_closed_runner_is_of_no_more_use(gpu, monkeypatch):
    released = []
    monkeypatch.setattr(module, "release_memory", lambda: released.append(1))
    runner = loaded()
    runner.close()
    assert released
    with pytest.raises(Cancelled):
        run(runner, squares(1))
    with pytest.raises(Cancelled):
        runner.forward(torch.from_numpy(squares(1)), CPU, "float32")


def test_a_runner_closed_while_another_thread_computes(gpu):
    runner = loaded()
    started, closed = threading.Event(), threading.Event()

    def failure(_n):
        started.set()
        closed.wait(10)
        return RuntimeError("CUDA out of memory.")

    gpu.failure = failure
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(run, runner, squares(20))
        started.wait(10)
        closing = pool.submit(runner.close)
        closed.set()
        closing.result(10)
        with pytest.raises(Cancelled):
            running.result(10)


def test_a_closed_network_is_gone_at_once():
    runner = loaded("cpu")
    network = weakref.ref(runner._module)
    size = LITE.network.input_size
    run(runner, np.zeros((1, size, size, 3), np.uint8))
    gc.disable()
    try:
        runner.close()
        assert network() is None
    finally:
        gc.enable()


def test_a_runner_that_nobody_holds_is_gone_at_once():
    runner = loaded("cpu")
    network = weakref.ref(runner._module)
    gc.disable()
    try:
        del runner
        assert network() is None
    finally:
        gc.enable()


# On a GPU ---------------------------------------------------------------------------

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


@on_gpu
@pytest.mark.parametrize("model", ["efficientnet-lite0", "squeezenet"])
def test_vectors_of_a_gpu(model):
    spec = EmbeddingSpec.choose(model)
    probe = probe_squares(spec.preprocessing)
    expected, _ = run(TorchRunner(spec, "cpu"), probe)
    runner = TorchRunner(spec, "cuda", batch_size=4)
    vectors, precision = run(runner, probe)
    assert precision == "float16"
    assert runner._half is not None
    assert least_cosine(vectors, expected) >= LEAST_COSINE
    single, _ = run(TorchRunner(with_precision(spec, "float32"), "cuda"), probe)
    assert least_cosine(single, expected) >= 0.9999


@on_gpu
def test_threads_share_a_gpu():
    runner = TorchRunner(LITE, "cuda", batch_size=4)
    probe = probe_squares(LITE.preprocessing)
    batches = [probe[n:] for n in range(len(probe))] * 4
    alone = [run(runner, batch)[0] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda batch: run(runner, batch)[0], batches))
    for vectors, expected in zip(together, alone, strict=True):
        assert least_cosine(vectors, expected) >= 0.9999


@on_gpu
def test_a_batch_that_fits_no_gpu_is_halved(monkeypatch):
    runner = TorchRunner(LITE, "cuda", batch_size=8)
    runner.load()
    forward = TorchRunner.forward

    def fail(self, squares, device, precision):
        if len(squares) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return forward(self, squares, device, precision)

    monkeypatch.setattr(TorchRunner, "forward", fail)
    probe = probe_squares(LITE.preprocessing)
    vectors, _ = run(runner, probe)
    assert runner.batch_size == 2
    monkeypatch.undo()
    assert least_cosine(vectors, run(runner, probe)[0]) >= 0.9999


@on_gpu
def test_a_gpu_that_fails_makes_way_for_the_cpu_with_right_vectors(monkeypatch):
    runner = TorchRunner(LITE, "cuda")
    runner.load()
    forward = TorchRunner.forward

    def fail(self, squares, device, precision):
        if device.type == "cuda":
            raise RuntimeError("CUDA error: device lost")
        return forward(self, squares, device, precision)

    monkeypatch.setattr(TorchRunner, "forward", fail)
    probe = probe_squares(LITE.preprocessing)
    with pytest.warns(RuntimeWarning, match="so the CPU is used"):
        vectors, precision = run(runner, probe)
    assert precision == "float32"
    expected, _ = run(TorchRunner(LITE, "cpu"), probe)
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4)


@on_gpu
def test_a_closed_runner_keeps_no_memory_of_a_gpu():
    probe = probe_squares(LITE.preprocessing)

    def left():
        runner = TorchRunner(LITE, "cuda")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: run(runner, probe), range(8)))
        runner.close()
        return torch.cuda.memory_allocated()

    after_first = left()  # what cuBLAS keeps for good
    assert after_first < 2**27
    assert left() == after_first
    assert torch.cuda.memory_reserved() < after_first + 2**25


@pytest.mark.parametrize("slowdown", [0.5, 1.2, 12.3])
def test_a_precision_that_is_slow_here_is_told(slowdown, toy, monkeypatch, recwarn):
    monkeypatch.setattr(module, "slowdown", lambda precision: slowdown)
    monkeypatch.setattr(toy, "to", lambda device: toy)
    loaded("cpu")
    assert not recwarn
    if slowdown < 2:
        loaded("cpu", precision="bfloat16")
        assert not recwarn
    else:
        with pytest.warns(RuntimeWarning, match="bfloat16.* about 12 times as long"):
            loaded("cpu", precision="bfloat16")
