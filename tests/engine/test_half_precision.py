import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from orangecontrib.imageanalytics.engine.half_precision import shortened, slowdown
from orangecontrib.imageanalytics.engine.probing import (
    LEAST_COSINE,
    least_cosine,
    probe_squares,
)
from orangecontrib.imageanalytics.networks.backbone import load_backbone
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

LITE = EmbeddingSpec.choose("efficientnet-lite0")
CPU = torch.device("cpu")


class Toy(nn.Module):
    """Mean of each channel, through what it is given."""

    def __init__(self, compute=lambda x: x):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.convolution = nn.Conv2d(3, 3, 1)
        self.compute = compute
        self.eval().requires_grad_(False)

    def forward(self, x):
        return self.compute(self.norm(x).mean((2, 3)))


def test_half_networks_keep_the_vectors():
    # The others are slow in half precision on a CPU.
    spec = EmbeddingSpec.choose("squeezenet")
    network = load_backbone(spec.network, spec.layer)
    half = shortened(network, spec, "float16", CPU)
    assert {p.dtype for p in half.parameters()} == {torch.float16}
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    squares = torch.from_numpy(probe_squares(spec.preprocessing)[:2])
    numbers = spec.preprocessing.normalise(squares)
    with torch.inference_mode():
        expected = network(numbers).numpy()
        vectors = half(numbers.half()).float().numpy()
    assert not np.array_equal(vectors, expected)
    assert least_cosine(vectors, expected) >= LEAST_COSINE


def test_batch_norms_stay_in_single_precision():
    toy = Toy()
    toy.norm.running_var.fill_(1e9)
    toy.norm.weight.fill_(1e5)  # which no half precision holds
    half = shortened(toy, LITE, "float16", CPU)
    assert half.convolution.weight.dtype == torch.float16
    assert half.norm.running_var.tolist() == [1e9] * 3
    assert half(torch.ones(1, 3, 2, 2).half()).dtype == torch.float16


def overflowing(x):
    return (x + 3) * (1e5 if x.dtype == torch.float16 else 1)


def failing(x):
    if x.dtype == torch.float16:
        raise RuntimeError("not implemented for 'Half'")
    return x


@pytest.mark.parametrize("compute", [overflowing, failing])
def test_networks_that_need_autocast_get_it(compute, caplog):
    with caplog.at_level("INFO"):
        assert shortened(Toy(compute), LITE, "float16", CPU) is None
    assert "is run with autocast" in caplog.text


def test_programs_are_not_converted():
    assert shortened(Toy(), LITE, "float16", CPU) is not None
    network = dataclasses.replace(LITE.network, compiles=False)
    spec = dataclasses.replace(LITE, network=network)
    assert shortened(Toy(), spec, "float16", CPU) is None
    assert shortened(Toy(), LITE, "float32", CPU) is None


def test_how_slow_a_precision_is():
    assert slowdown("bfloat16") > 0
