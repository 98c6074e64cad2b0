import hashlib
import io
import os
import pickle
import pickletools

import numpy as np
import pytest
import torch

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import array_files
from orangecontrib.imageanalytics.networks.array_files import read_arrays
from orangecontrib.imageanalytics.networks.registry import find_network


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(path):
    return read_arrays(str(path), sha256(path))


def save(state, path):
    """Save as torch before 1.6 did."""
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


@pytest.mark.parametrize("model", ["efficientnet-lite0", "efficientnet-lite2"])
def test_the_files_that_come_with_packages(model):
    weights = find_network(model).weights
    found = read_arrays(weights.path, weights.sha256)
    expected = torch.load(weights.path, weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)
        assert found[name].flags.c_contiguous and found[name].flags.writeable


def test_tensors_that_share_their_numbers(tmp_path):
    numbers = torch.arange(12.0)
    state = {
        "all": numbers,
        "part": numbers[3:7],
        "turned": numbers.view(3, 4).T,
        "repeated": numbers[:1].expand(5),
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }
    found = read(save(state, tmp_path / "net.pth"))
    assert list(found) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found[name], tensor.numpy(), strict=True)


def test_hash_is_checked_before_anything_is_read(tmp_path, monkeypatch):
    path = save({"a": torch.arange(3)}, tmp_path / "net.pth")
    monkeypatch.setattr(array_files, "_Unpickler", None)
    with pytest.raises(ModelError, match=r"damaged.*SHA-256"):
        read_arrays(str(path), "0" * 8)


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"cannot be read.*No such file"):
        read_arrays(str(tmp_path / "net.pth"), "0" * 8)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.mark.parametrize("place", [0, 2, 3, 4, "in state", "pickle"])
def test_code_does_not_run(tmp_path, monkeypatch, place):
    """Nowhere in the five pickles of which a file consists."""
    evil = tmp_path / "evil"
    monkeypatch.setenv("EVIL", str(evil))
    path = tmp_path / ("net.pkl" if place == "pickle" else "net.pth")
    if place == "pickle":
        path.write_bytes(pickle.dumps({"conv1": Evil()}))
    elif place == "in state":
        save({"a": torch.arange(3), "b": Evil()}, path)
    else:
        content = save({"a": torch.arange(3)}, path).read_bytes()
        stream, parts = io.BytesIO(content), []
        for _ in range(5):
            start = stream.tell()
            list(pickletools.genops(stream))
            parts.append(content[start : stream.tell()])
        parts[place] = pickle.dumps(Evil())
        path.write_bytes(b"".join(parts) + content[stream.tell() :])
    with pytest.raises(ModelError, match=r"cannot be read: .*mkdir is not allowed"):
        read(path)
    assert not evil.exists()


def test_only_arrays_and_tensors(tmp_path):
    path = save({"a": torch.nn.Linear(2, 3)}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match=r"is not allowed|more than tensors"):
        read(path)
    path = save({"a": [torch.arange(3)]}, tmp_path / "net.pth")
    with pytest.raises(ModelError, match="cannot be read"):
        read(path)


def test_tensors_outside_their_storage(tmp_path):
    path = tmp_path / "net.pth"
    content = save({"a": torch.arange(10.0)[5:]}, path).read_bytes()
    changed = content.replace(b"K\x05K\x05\x85", b"K\x06K\x05\x85")
    assert changed != content
    path.write_bytes(changed)
    with pytest.raises(ModelError, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.99])
def test_truncated_file(tmp_path, part):
    path = save({"a": torch.arange(1000)}, tmp_path / "net.pth")
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelError, match="cannot be read"):
        read(path)


def test_a_file_of_newer_versions_of_torch(tmp_path):
    path = tmp_path / "net.pth"
    torch.save({"a": torch.arange(3)}, path)
    with pytest.raises(ModelError, match="cannot be read"):
        read(path)


def test_a_pickle_of_something_else(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(pickle.dumps(1) + pickle.dumps(2) + pickle.dumps({}))
    with pytest.raises(ModelError, match="cannot be read"):
        read(path)


def test_arrays_are_read_from_pickles(tmp_path):
    path = tmp_path / "net.pkl"
    # As the NumPy of the packaged file's time named it.
    content = pickle.dumps({"a": [np.eye(2, dtype="f4")]}, protocol=3)
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.write_bytes(content)
    np.testing.assert_array_equal(read(path)["a"][0], np.eye(2))
