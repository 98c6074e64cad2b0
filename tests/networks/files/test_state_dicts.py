import json
import pickle
import struct

import pytest
import torch
from network_files import Trap, make_network
from safetensors.torch import save_file

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.state_dicts import (
    fit_state,
    read_state,
)

WEIGHTS = make_network().state_dict()


def refusal(path):
    with pytest.raises(ModelError) as caught:
        read_state(str(path))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


# -- Reading ---------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes(tmp_path, zipped):
    path = tmp_path / "a.pt"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    assert list(read_state(str(path))) == list(WEIGHTS)


def test_safetensors(tmp_path):
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert set(read_state(str(tmp_path / "a.safetensors"))) == set(WEIGHTS)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3, "loss": torch.zeros(1)},
        lambda state: {"model": state, "optimizer": {"state": {}}},
        lambda state: {"model": {"state_dict": state}},
        lambda state: {"epoch": 3, **state},
        lambda state: {"model": {"x": torch.zeros(1)}, "model_ema": state},
    ],
)
def test_wrapped(tmp_path, wrap):
    torch.save(wrap(WEIGHTS), tmp_path / "a.pt")
    assert set(read_state(str(tmp_path / "a.pt"))) == set(WEIGHTS)


@pytest.mark.parametrize(
    "value", [{}, [1], torch.zeros(3), {"a": 1}, {1: torch.ones(1)}]
)
def test_no_weights_by_name(tmp_path, value):
    torch.save(value, tmp_path / "a.pt")
    assert "holds no weights by name" in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_network(tmp_path, zipped):
    path = tmp_path / "a.pt"
    torch.save(make_network(), path, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "a pickled Python object (torch.nn.modules.container.Sequential)" in message
    assert "torch.save(network.state_dict()" in message
    assert "ONNX" in message


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_that_runs_code(tmp_path, protocol):
    trap = Trap(str(tmp_path / "sprung"))
    (tmp_path / "a.pt").write_bytes(pickle.dumps(trap, protocol))
    refusal(tmp_path / "a.pt")
    assert not trap.sprung
    pickle.loads((tmp_path / "a.pt").read_bytes())
    assert trap.sprung  # as it would have done


def test_archive_that_runs_code(tmp_path):
    trap = Trap(str(tmp_path / "sprung"))
    (tmp_path / "a.pt").write_bytes(trap.pickled())
    assert "holds a pickled Python object (posix.mkdir)" in refusal(
        tmp_path / "a.pt"
    ).replace("nt.mkdir", "posix.mkdir")
    assert not trap.sprung


def test_torchscript_under_another_name(made):
    """What gets here has hidden that it is one."""
    assert "is no file of weights" in refusal(made["scripted"])


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
@pytest.mark.parametrize("content", [b"PK\x03\x04 no", b"\x80 no", b"no", b"\0" * 999])
def test_damaged(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert "damaged" in refusal(tmp_path / name)


def safetensors(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape, offsets, dtype="F32"):
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "content",
    [
        safetensors({}, length=2**63),
        safetensors({}, length=10**9),
        safetensors(b"{"),
        safetensors(b"[" * 10_000),
        safetensors(entry([2**40], [0, 2**42])),
        safetensors(entry([2**40], [0, 4]), b"1234"),
        safetensors(entry([2**62, 4], [0, 4]), b"1234"),
        safetensors(entry([1], [4, 0]), b"1234"),
        safetensors(entry([1], [-4, 0]), b"1234"),
        safetensors(entry([1], [0, 4], "OBJECT"), b"1234"),
        safetensors(entry([2], [0, 4]), b"1234"),
        safetensors(entry([1], [0, 4]), b"12345678"),
    ],
)
def test_wrong_header(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    assert "is no file of safetensors, or is damaged" in refusal(
        tmp_path / "a.safetensors"
    )


def test_missing(tmp_path):
    for name in ("a.pt", "a.safetensors"):
        assert "cannot be read" in refusal(tmp_path / name)


# -- Fitting ---------------------------------------------------------------------


def misfit(state):
    with pytest.raises(ModelError) as caught:
        fit_state(state, WEIGHTS, "cells.pt does not fit")
    message = str(caught.value)
    assert message.startswith("cells.pt does not fit: ")
    assert len(message) < 600
    return message


def with_prefix(prefix, state=WEIGHTS):
    return {prefix + key: value for key, value in state.items()}


def assert_fits(state):
    fitted = fit_state(state, WEIGHTS, "cells.pt does not fit")
    assert list(fitted) == list(WEIGHTS)
    for key, value in WEIGHTS.items():
        assert fitted[key].dtype == value.dtype
        torch.testing.assert_close(fitted[key], value, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.", "a.b.c."])
def test_prefix(prefix):
    assert_fits(with_prefix(prefix))


def test_others_beside_a_prefix():
    """As the criterion that a trainer keeps."""
    assert_fits(with_prefix("model.") | {"criterion.weight": torch.zeros(3)})


def test_several_networks():
    both = with_prefix("student.") | with_prefix("teacher.")
    assert "holds several networks (student., teacher.)" in misfit(both)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precision(dtype):
    assert_fits({k: v.to(dtype) if v.ndim else v for k, v in WEIGHTS.items()})


def test_without_counters():
    """As old versions of torch wrote it."""
    fitted = fit_state(
        {k: v for k, v in WEIGHTS.items() if "num_batches" not in k}, WEIGHTS, ""
    )
    make_network().load_state_dict(fitted)


def test_missing_names():
    state = dict(WEIGHTS)
    del state["5.weight"]
    assert misfit(state) == "cells.pt does not fit: missing: 5.weight."
    state["head.weight"] = torch.zeros(5, 4)
    assert "missing: 5.weight; unknown: head.weight." in misfit(state)


def test_missing_names_beside_a_prefix():
    state = with_prefix("body.")
    del state["body.5.weight"]
    state["head.weight"] = torch.zeros(5, 4)
    assert "missing: 5.weight; unknown: head.weight." in misfit(state)


def test_many_names():
    message = misfit({f"x{n}": torch.zeros(1) for n in range(100)})
    assert "0.weight, 0.bias, 1.weight and 5 more; unknown: x0, x1, x2 and 97 more" in (
        message
    )


def test_names_that_cannot_be_shown():
    state = WEIGHTS | {"a\nb" + "c" * 200: torch.zeros(1)}
    assert "\n" not in misfit(state)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(7, 4), "5.weight (7 x 4 instead of 5 x 4)"),
        (torch.tensor(0.0), "5.weight (one number instead of 5 x 4)"),
        (torch.zeros(5, 4, dtype=torch.int8), "5.weight (int8)"),
        (torch.zeros(5, 4, dtype=torch.complex64), "5.weight (complex64)"),
        (torch.zeros(5, 4, device="meta"), "5.weight (float32)"),
        (torch.zeros(5, 4).to_sparse(), "5.weight (float32)"),
        (torch.zeros(1).expand(2**20, 2**20), "5.weight (1048576 x 1048576 instead"),
    ],
)
def test_misfits(value, text):
    assert f"of another shape: {text}" in misfit(WEIGHTS | {"5.weight": value})
