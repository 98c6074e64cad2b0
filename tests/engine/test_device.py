import pytest
import torch

from orangecontrib.imageanalytics.engine import device as module
from orangecontrib.imageanalytics.engine.device import (
    choose_device,
    choose_precision,
    describe_device,
)

CPU, CUDA, MPS = map(torch.device, ("cpu", "cuda", "mps"))


@pytest.mark.parametrize(
    "working, chosen",
    [({"cuda", "mps"}, "cuda"), ({"mps"}, "mps"), (set(), "cpu")],
)
def test_order(monkeypatch, working, chosen):
    monkeypatch.setattr(
        module, "_problem", lambda device: None if device.type in working else "no"
    )
    assert choose_device("auto").type == chosen


def test_a_gpu_that_computes_nothing_is_passed_over(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    def fail(*_, **__):
        raise RuntimeError("no kernel image is available\nmore")

    monkeypatch.setattr(torch, "ones", fail)
    assert choose_device("auto") == CPU
    with pytest.raises(ValueError, match=r"'cuda:1' cannot be used: no kernel image"):
        choose_device("cuda:1")


def test_named_device(monkeypatch):
    monkeypatch.setattr(module, "_problem", lambda device: None)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("cpu") == CPU


def test_no_device():
    with pytest.raises(ValueError, match="'abacus' is not a device"):
        choose_device("abacus")


def test_missing_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'cuda' cannot be used"):
        choose_device("cuda")


def test_precision():
    assert choose_precision(None, CPU) == "float32"
    assert choose_precision(None, CUDA) == "float16"
    assert choose_precision(None, MPS) == "float16"
    assert choose_precision("bfloat16", CPU) == "bfloat16"
    with pytest.raises(ValueError, match="'int8' is not a precision"):
        choose_precision("int8", CPU)


def test_names(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Toy")
    assert describe_device(torch.device("cuda", 1)) == "NVIDIA Toy (cuda:1)"
    assert describe_device(CPU) == "CPU"
