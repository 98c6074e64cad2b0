"""Reads the files of networks that `network_file` finds."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from orangecontrib.imageanalytics.errors import ModelError, first_line
from orangecontrib.imageanalytics.networks import layers
from orangecontrib.imageanalytics.networks.files.onnx_data import (
    check_external_data,
    find_external_data,
)
from orangecontrib.imageanalytics.networks.files.program import clean_program
from orangecontrib.imageanalytics.networks.files.program_graph import check_loaded
from orangecontrib.imageanalytics.networks.files.torchscript import (
    check_operations,
    clean_torchscript,
)
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.quiet import QuietHere

# Numbers of images for which a traced network may be made.
BATCHES = (1, 2, 4, 8, 16, 32, 64)
# Of the greatest number of a vector.
MIXED = 0.1
_LOADING = threading.Lock()
LOGGERS = (
    "torch.export",
    "torch.export.pt2_archive._package",
    "torch._export.serde.serialize",
)


class FileNetwork(nn.Module):
    """A network from a file, which may only take so many images at once.

    Safe to run in several threads at once. It has no submodules for torch, since
    those from files take neither ``eval()`` nor hooks.

    Parameters
    ----------
    run : callable
        From a batch to its output.
    shape : sequence
        Of the batches that `run` takes; what is no int, or 0, is not fixed.
    fewest, most : int, optional
        Images that `run` takes; fewer are filled up, more come in pieces. By
        default as `shape` has it.
    move : callable, optional
        Given a device, returns `run` there; None when it stays on the CPU.
    """

    def __init__(
        self,
        run: Callable[[Tensor], object],
        shape: Sequence = (None,) * 4,
        fewest: int | None = None,
        most: int | None = None,
        move: Callable[[torch.device], Callable] | None = None,
    ):
        super().__init__()
        self._run = (run,)  # hidden from torch
        n, *image = [size if isinstance(size, int) else 0 for size in shape]
        self.image = image
        self.fewest, self.most = fewest or n or 1, most or n or None
        self._move = move
        self._device = torch.device("cpu")

    def forward(self, x: Tensor) -> Tensor:
        """Output for float32 images, shape (n, 3, size, size), any n."""
        # A program may use strides that it was exported with.
        x = x.contiguous()
        pieces = x.split(self.most) if self.most else (x,)
        outputs = [self._run_piece(piece) for piece in pieces]
        return torch.cat(outputs) if len(outputs) > 1 else outputs[0]

    def _run_piece(self, x):
        n_missing = self.fewest - len(x)
        if n_missing > 0:
            filling = x.new_zeros((n_missing, *x.shape[1:]))
            output = self._output(torch.cat([x, filling]))
            return output[: len(x)] if output.ndim else output
        return self._output(x)

    def _output(self, x) -> Tensor:
        output = layers.unwrap(self._run[0](x))
        if not isinstance(output, Tensor):
            several = isinstance(output, list | tuple | dict) and len(output) > 1
            hint = ": export only the one you want" if several else ""
            raise ModelError(f"gives {_describe(output)}, not one tensor{hint}")
        return output

    def _apply(self, fn, recurse=True):
        # Module.to, of this or of what it is part of, comes here.
        device = fn(torch.empty(0, device=self._device)).device
        if device != self._device and self._move is not None:
            self._run = (self._move(device),)
            self._device = device
        return super()._apply(fn, recurse)


def load(network: Network, path: str) -> nn.Module:
    """The network in a file, on the CPU; no Python code in the file is executed.

    Raises
    ------
    ModelError
        When the file is damaged or refused, has changed since it was chosen, or
        does not turn images of the network's input size into vectors.
    """
    try:
        model = LOADERS[os.path.splitext(path)[1].lower()](path)
        _check(model, network)
    except ModelError as error:
        # Each is a reason that begins with a verb.
        raise ModelError(f"{path} {str(error).rstrip('.')}.") from error.__cause__
    except Exception as error:  # of whatever kind: torch raises any
        raise ModelError(
            f"{path} is damaged, or was made by a newer version of PyTorch: "
            f"{_first_line(error)}"
        ) from error
    # Else its vectors would be kept as those of the file as it was.
    network.weights.check_unchanged()
    return model


def _load_program(path: str) -> FileNetwork:
    stream = clean_program(_read(path))
    # torch reads one program at a time.
    # It logs what it then raises, and that a program is of an older version.
    with _LOADING, QuietHere(*LOGGERS):
        program = torch.export.load(stream)
        check_loaded(program)
        module = program.module()
    shape, dtype = _find_input(program)

    def run_by(module):
        return lambda x: module(x.to(dtype))

    def move(device):
        from torch.export.passes import move_to_device_pass

        moved = move_to_device_pass(program, str(device))
        return run_by(moved.module())

    return FileNetwork(run_by(module), shape, *_find_limits(program, shape[0]), move)


def _find_input(program):
    """Shape and dtype of a program's only input."""
    names = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.name in names]
    values = [node.meta.get("val") for node in nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], Tensor):
        raise ModelError(f"takes {len(names)} inputs, not images alone")
    (value,) = values
    if value.ndim != 4 or not value.dtype.is_floating_point:
        raise ModelError(
            f"takes {_describe(value)}, not images (float, n x 3 x size x size)"
        )
    return value.shape, value.dtype


def _find_limits(program, n) -> tuple[int | None, int | None]:
    """The fewest and the most images that a program takes, if it says so."""
    limits = None
    if not isinstance(n, int):
        limits = program.range_constraints.get(n.node.expr)
    if limits is None:
        return None, None
    most = int(limits.upper) if limits.upper < 2**31 else None
    return int(limits.lower), most


def _load_script(path: str) -> FileNetwork:
    stream = clean_torchscript(_read(path))
    # Nothing that users could do about. Not with catch_warnings, which would change
    # what other threads do about theirs.
    for category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is ", category)
    # A network may switch gradients while it is read; this switches them back.
    with torch.no_grad():
        module = torch.jit.load(stream, map_location="cpu").eval()
    check_operations(module)
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    dtypes = [p.dtype for p in module.parameters() if p.is_floating_point()]
    dtype = dtypes[0] if dtypes else torch.float32

    def run_by(module):
        return lambda x: module(x.to(dtype))

    return FileNetwork(run_by(module), move=lambda device: run_by(module.to(device)))


def _load_onnx(path: str) -> FileNetwork:
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            'needs onnxruntime: pip install "Orange3-ImageAnalytics[onnx]"'
        ) from error
    content = _read(path)
    others = find_external_data(content)
    check_external_data(others, os.path.dirname(path))
    # It finds other files by the path alone.
    source = path if others else content
    options = onnxruntime.SessionOptions()
    # Batches run in several threads instead.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Its other format, which it would know by the content, was not checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        session = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own have no base of their own
        raise ModelError(
            f"cannot be read by onnxruntime: {_first_line(error)}"
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ModelError(f"takes {len(inputs)} inputs, not images alone")
    dtype = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}.get(
        inputs[0].type
    )
    if dtype is None or len(inputs[0].shape) != 4:
        shape = " x ".join(map(str, inputs[0].shape))
        raise ModelError(
            f"takes {inputs[0].type} of shape {shape}, not images "
            "(float, n x 3 x size x size)"
        )

    def run(x):
        try:
            outputs = session.run(None, {inputs[0].name: x.to(dtype).numpy()})
        except Exception as error:  # as above
            # What the engine knows how to handle when memory is short.
            raise RuntimeError(_first_line(error)) from error
        return [
            torch.from_numpy(output) if hasattr(output, "dtype") else output
            for output in outputs
        ]

    return FileNetwork(run, inputs[0].shape)


LOADERS = {".pt2": _load_program, ".pt": _load_script, ".onnx": _load_onnx}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}") from error


# -- Whether a network turns images into vectors --------------------------------


def _check(model: FileNetwork, network: Network) -> None:
    """Try one image and then two; find how many a traced network takes."""
    size = network.input_size
    shape = (3, size, size)
    if any(
        takes and takes != has for takes, has in zip(model.image, shape, strict=True)
    ):
        takes = " x ".join(str(length or "any") for length in model.image)
        raise ModelError(
            f"takes images of {takes} numbers, not 3 x {size} x {size}: "
            "the size that is said of it may be wrong"
        )
    given = f"an image of 3 x {size} x {size} numbers"
    try:
        output = _try(model, 1, size)
        if model.most is None and not _takes(model, 2, size):
            model.fewest = model.most = 1
    except Exception as error:  # of whatever kind: the network may be anyone's
        n_images = next((n for n in BATCHES[1:] if _takes(model, n, size)), None)
        if n_images is None or model.most is not None:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"does not take {given}: {_reason(error)}") from error
        model.fewest = model.most = n_images
        output = _try(model, 1, size)
    _check_output(output, given, network.classes)
    if model.most != 1:
        _check_mixing(model, size)


def _try(model, n, size) -> Tensor:
    with torch.inference_mode():
        return model(torch.zeros(n, 3, size, size))


def _check_mixing(model, size) -> None:
    """Whether the vector of an image depends on what it comes with."""
    images = torch.randn((2, 3, size, size), generator=torch.Generator().manual_seed(0))
    images[1] = 2 * images[1] + 1  # far from the first also on average
    alone, beside = _vector(model, images[:1]), _vector(model, images)
    if not _differ(alone, beside):
        return
    if _differ(alone, _vector(model, images[:1])):
        does = "gives an image another vector each time"
    else:
        does = "mixes the images of a batch"
    raise ModelError(f"{does}: it was exported in training mode; call eval() before")


def _vector(model, images) -> Tensor:
    """Of the first of some images."""
    with torch.inference_mode():
        return model(images)[0].double()


def _differ(a, b) -> bool:
    """Whether vectors differ by much more than what bfloat16 and int8 round off."""
    return bool((a - b).abs().max() > MIXED * a.abs().max())


def _takes(model, n, size) -> bool:
    try:
        return len(_try(model, n, size)) == n
    except Exception:  # of whatever kind: the network may be anyone's
        return False


def _check_output(output, given, classes):
    expected = "a vector of real numbers is expected"
    if not output.dtype.is_floating_point:
        raise ModelError(f"gives {_describe(output)}; {expected}")
    if output.ndim < 2 or len(output) != 1 or not output.numel():
        raise ModelError(f"makes {_describe(output)} from {given}; {expected}")
    vectors = layers.pool(output)
    if not vectors.isfinite().any():
        raise ModelError(f"makes nothing but undefined numbers (NaN) from {given}")
    if classes and vectors.shape[1] != len(classes):
        raise ModelError(
            f"gives {vectors.shape[1]} numbers, but there are names of "
            f"{len(classes)} classes"
        )


def _describe(value) -> str:
    if isinstance(value, Tensor):
        shape = " x ".join(map(str, value.shape)) or "none"
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}, shape {shape}"
    if isinstance(value, list | tuple | dict):
        return f"{len(value)} outputs"
    return f"a {type(value).__name__}"


MAX_REASON = 160


def _first_line(error) -> str:
    text = first_line(error)
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "..."


def _reason(error) -> str:
    """What torch says in the end: of an error in TorchScript, the last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    says = [line for line in lines if line.startswith("RuntimeError: ")]
    return says[-1].removeprefix("RuntimeError: ") if says else _first_line(error)
