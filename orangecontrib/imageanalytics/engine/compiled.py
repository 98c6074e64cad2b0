"""Networks for OpenVINO, made as its graphs or converted from torch, and kept on disk.

A kept network starts without torch and without its weight file. The cache folder holds
its graph, its weights, and a JSON file with what was found out about it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
import warnings
import zlib
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy as np

from orangecontrib.imageanalytics.cache_folder import user_cache
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.networks.openvino_library import library
from orangecontrib.imageanalytics.networks.quiet import ignore_deprecation
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

log = logging.getLogger(__name__)

# Increase this whenever the code below changes what is kept.
VERSION = 1
# The packages whose code affects a kept network: one, or more if it is converted.
_OPENVINO = ("openvino",)
_CONVERTED = (*_OPENVINO, "torch", "torchvision", "timm", "open_clip_torch")
_MOST_BYTES = 4 << 30  # of all networks that are kept
_PART_BYTES = 1 << 22
#: Allowed difference from torch's vectors, as a fraction of their greatest number.
TOLERANCE = 1e-4


class Refused(Exception):
    """OpenVINO does not support a network, or computes different vectors."""


class Trial(NamedTuple):
    """The result of trying a shorter precision on photos.

    Attributes
    ----------
    cosine : float
        The least cosine similarity to the vectors of float32.
    speedup : float
        The speed relative to float32.
    """

    cosine: float
    speedup: float


@dataclass
class About:
    """Information about a compiled network.

    Attributes
    ----------
    n_bytes : int
        Size of its weights.
    trials : dict of str to Trial
        By precision and processor.
    checksums : list of int
        CRC-32 of its graph and its weights on disk.
    """

    n_bytes: int
    trials: dict[str, Trial] = field(default_factory=dict)
    checksums: list[int] = field(default_factory=list)

    def __post_init__(self):
        self.n_bytes = int(self.n_bytes)
        self.trials = {
            key: Trial(*map(float, values)) for key, values in self.trials.items()
        }


@dataclass
class Compiled:
    """A network for OpenVINO.

    Attributes
    ----------
    model : openvino.Model
        Takes a float32 image, shape (1, 3, size, size), and returns its vector, shape
        (1, n_features).
    path : str
        Path of its JSON file, which exists if the network could be kept.
    about : About
    """

    model: object
    path: str
    about: About

    def remember(self, key: str, trial: Trial) -> None:
        """Keep a measurement."""
        self.about.trials[key] = trial
        if self.about.checksums:
            try:
                _write_about(self.path, self.about)
            except OSError as error:
                log.info("%s cannot be written: %s", self.path, error)


def find_about(spec: EmbeddingSpec) -> About | None:
    """Information about a kept network, without reading the network."""
    try:
        return _read_about(_path(spec))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def find_compiled(spec: EmbeddingSpec) -> Compiled | None:
    """The network, if it is kept and not damaged."""
    try:
        path = _path(spec)
        about = _read_about(path)
        graph, weights = _files(path)
        if about.checksums != [_checksum(graph), _checksum(weights)]:
            raise ValueError("a checksum is wrong")
        model = library().Core().read_model(graph)
        for file in (path, graph, weights):  # for `_make_room`
            with contextlib.suppress(OSError):  # others may have made it
                os.utime(file)
        return Compiled(model, path, about)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        name = spec.network.name
        log.warning("The compiled network of %s is made anew: %s", name, error)
        return None


def compile_network(spec: EmbeddingSpec, load_backbone) -> Compiled:
    """Make a network for OpenVINO, and keep it if the disk allows that.

    Parameters
    ----------
    spec : EmbeddingSpec
    load_backbone : callable
        Returns the network as `backbone.load_backbone`, to be converted. It is only
        called for networks that do not make their graphs themselves.

    Raises
    ------
    Refused
        When it cannot be converted, or computes different vectors.
    ModelError
        When the network is not available or does not work.
    ValueError
        When it has no such layer.
    """
    model = spec.network.openvino_graph(spec.layer)
    if model is None:
        module = load_backbone()
        model = _convert(module, spec.network.input_size)
        _compare(model, module, spec.network.input_size)
    constants = (op for op in model.get_ops() if op.get_type_name() == "Constant")
    n_bytes = sum(constant.get_byte_size() for constant in constants)
    compiled = Compiled(model, _path(spec), About(n_bytes))
    try:
        _keep(compiled)
    except (OSError, RuntimeError) as error:
        log.warning("The compiled network is not kept in %s: %s", compiled.path, error)
    return compiled


# Making -----------------------------------------------------------------------------


def _convert(module, size: int):
    import torch

    generator = torch.Generator().manual_seed(0)
    example = torch.randn(1, 3, size, size, generator=generator)
    try:
        model = _read(module.model) or _read_trace(_trace(module, example))
        model.reshape([1, 3, size, size])
    except Exception as error:  # of whatever kind: the network may be anyone's
        raise Refused(f"it cannot be converted ({first_line(error)})") from error
    if len(model.outputs) != 1:
        raise Refused(f"it has {len(model.outputs)} outputs")
    return model


def _read(module):
    """Read a network file with OpenVINO; None for networks not in files.

    Raises
    ------
    Refused
        When OpenVINO does not read the file.
    """
    from orangecontrib.imageanalytics.networks.files.module import OutputModule

    if not isinstance(module, OutputModule):
        return None
    model = module.as_openvino()
    if model is None:
        raise Refused("its file is not for OpenVINO, or for several images at once")
    return model


def _trace(module, example):
    import torch

    # Users can do nothing about it. catch_warnings would change the warnings of
    # other threads, too.
    warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
    ignore_deprecation(r"`torch\.jit\.trace")
    with torch.no_grad():
        # Not checked by tracing twice: the result is compared in any case.
        return torch.jit.trace(module, example, check_trace=False)


def _read_trace(traced):
    # `openvino.convert_model` is not used, since it sets the level of all loggers.
    library()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # has to stay until it is converted
    return frontend.convert(frontend.load(decoder))


def _compare(model, module, size: int) -> None:
    """Check that tracing has lost nothing, with an image that was not traced."""
    import torch

    generator = torch.Generator().manual_seed(1)
    probe = torch.randn(1, 3, size, size, generator=generator)
    with torch.inference_mode():
        expected = module(probe).float().numpy()
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    try:
        network = library().Core().compile_model(model, "CPU", options)
        found = network([probe.numpy()])[0]
    except RuntimeError as error:
        raise Refused(f"it does not run ({first_line(error)})") from error
    if found.shape != expected.shape:
        raise Refused(f"its vectors have the shape {found.shape}")
    difference = np.abs(found - expected).max() / (np.abs(expected).max() or 1)
    if not difference <= TOLERANCE:
        raise Refused(f"its vectors differ by {difference:.2g}")


# Keeping ----------------------------------------------------------------------------


def folder() -> str:
    """Where compiled networks are kept; it may not exist."""
    return os.path.join(user_cache(), "networks")


def _path(spec: EmbeddingSpec) -> str:
    network = spec.network
    if network.fingerprint is None:
        raise FileNotFoundError(f"{network.name} is not on this computer")
    packages = _OPENVINO if network.makes_graph else _CONVERTED
    parts = (
        VERSION,
        network.fingerprint,
        spec.layer,
        network.input_size,
        [_version(package) for package in packages],
    )
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return os.path.join(folder(), f"{name}.json")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _files(path: str) -> tuple[str, str]:
    stem = os.path.splitext(path)[0]
    return f"{stem}.xml", f"{stem}.bin"


def _read_about(path: str) -> About:
    with open(path, encoding="utf-8") as file:
        return About(**json.load(file))


def _write_about(path: str, about: About) -> None:
    with tempfile.TemporaryDirectory(prefix=".", dir=os.path.dirname(path)) as scratch:
        partial = os.path.join(scratch, "about.json")
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(asdict(about), file)
        os.replace(partial, path)


def _keep(compiled: Compiled) -> None:
    os.makedirs(folder(), exist_ok=True)
    _make_room(compiled.about.n_bytes)
    # OpenVINO does not say why it cannot write.
    if shutil.disk_usage(folder()).free < compiled.about.n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), folder())
    with tempfile.TemporaryDirectory(prefix=".", dir=folder()) as scratch:
        made = _files(os.path.join(scratch, "network.json"))
        library().save_model(compiled.model, made[0], compress_to_fp16=False)
        checksums = [_checksum(file) for file in made]
        for source, target in zip(made, _files(compiled.path), strict=True):
            os.replace(source, target)
    # This is the last, since it marks the others as complete.
    compiled.about.checksums = checksums
    _write_about(compiled.path, compiled.about)


def cache_info() -> dict:
    """``folder``, ``bytes`` used, ``entries`` (networks) and ``limit`` in bytes."""
    files = _kept_files()
    return {
        "folder": folder(),
        "bytes": _size(files),
        "entries": sum(file.name.endswith(".json") for file in files),
        "limit": _MOST_BYTES,
    }


def clear_cache() -> None:
    """Drop the networks that are kept.

    Raises
    ------
    OSError
        When they cannot be dropped.
    """
    failure = None
    for file in _kept_files():
        try:
            os.remove(file.path)
        except FileNotFoundError:  # another process was quicker
            continue
        except OSError as error:  # the others can go all the same
            failure = failure or error
    if failure is not None:
        raise failure


def _kept_files() -> list[os.DirEntry]:
    try:
        with os.scandir(folder()) as entries:
            return [e for e in entries if e.name.endswith((".xml", ".bin", ".json"))]
    except FileNotFoundError:
        return []


def _stat(file: os.DirEntry) -> tuple[float, int]:
    """The time of last use and the size of a file; zeros if it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime, stat.st_size


def _size(files: list[os.DirEntry]) -> int:
    return sum(size for _, size in map(_stat, files))


def _make_room(n_bytes: int) -> None:
    """Drop the least recently used networks."""
    files = _kept_files()
    excess = _size(files) + n_bytes - _MOST_BYTES
    for file in sorted(files, key=_stat):
        if excess <= 0:
            return
        with contextlib.suppress(OSError):  # in use, or another process was quicker
            os.remove(file.path)
            excess -= _stat(file)[1]


def _checksum(path: str) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while part := file.read(_PART_BYTES):
            checksum = zlib.crc32(part, checksum)
    return checksum
