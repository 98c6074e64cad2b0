"""A network of which only the output can be read, as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from orangecontrib.imageanalytics.errors import (
    ModelError,
    first_line,
    message_lines,
)
from orangecontrib.imageanalytics.networks import layers

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.networks.files.network_file import NetworkFile

# Numbers of images for which a traced network may be made.
BATCHES = (1, 2, 4, 8, 16, 32, 64)
# As a fraction of the greatest number in a vector.
MIXED = 0.1
MAX_REASON = 160


class OutputModule(nn.Module):
    """A network from a file, which may only take a certain number of images at once.

    Safe to run in several threads at once. It has no submodules for torch, since
    those from files take neither ``eval()`` nor hooks.

    Parameters
    ----------
    run : callable
        Takes a batch and returns its output.
    shape : sequence
        Shape of the batches that `run` takes; 0 or anything but an int stands for
        any length.
    fewest, most : int, optional
        Number of images that `run` takes. Smaller batches are filled up, larger
        ones are split. By default, the number in `shape`.
    move : callable, optional
        Takes a device and returns `run` for it. None if it stays on the CPU.
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
            raise ModelError(f"gives {describe(output)}, not one tensor{hint}")
        return output

    def as_openvino(self):
        """The network for OpenVINO, if OpenVINO can read it; see `OpenVinoModule`."""
        return None

    def _apply(self, fn, recurse=True):
        # Module.to, of this or of what it is part of, comes here.
        device = fn(torch.empty(0, device=self._device)).device
        if device != self._device and self._move is not None:
            self._run = (self._move(device),)
            self._device = device
        return super()._apply(fn, recurse)


# -- Whether a network turns images into vectors --------------------------------


def check_output(model: OutputModule, network: NetworkFile) -> None:
    """Try one image, then two, and find how many a traced network takes.

    Parameters
    ----------
    model : OutputModule
        Its `fewest` and `most` are set if it only takes a certain number of images.
    network : NetworkFile
        The network with its description.

    Raises
    ------
    ModelError
        When it does not turn images of the network's input size into vectors. The
        message is the reason alone.
    """
    size = network.input_size
    check_shape(model.image, size)
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
    _check_output(output, given, network.n_classes)
    _check_mixing(model, size)


def check_shape(image: Sequence[int], size: int) -> None:
    """
    Parameters
    ----------
    image : sequence of int
        Channels, height and width that a network takes; 0 for any.
    size : int
        Side of the square that it sees, according to its description.

    Raises
    ------
    ModelError
        When it takes images of another shape. The message is the reason alone.
    """
    wanted = (3, size, size)
    if any(takes and takes != has for takes, has in zip(image, wanted, strict=True)):
        takes = " x ".join(str(length or "any") for length in image)
        raise ModelError(
            f"takes images of {takes} numbers, not 3 x {size} x {size}: "
            "the size in its description may be wrong"
        )


def _try(model, n, size) -> Tensor:
    with torch.inference_mode():
        return model(torch.zeros(n, 3, size, size))


def _check_mixing(model, size) -> None:
    """Check that the vector of an image does not depend on the rest of the batch."""
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
    """The vector of the first image."""
    with torch.inference_mode():
        return model(images)[0].double()


def _differ(a, b) -> bool:
    """Whether vectors differ by much more than the rounding of bfloat16 and int8."""
    return bool((a - b).abs().max() > MIXED * a.abs().max())


def _takes(model, n, size) -> bool:
    try:
        return len(_try(model, n, size)) == n
    except Exception:  # of whatever kind: the network may be anyone's
        return False


def _check_output(output, given, n_classes):
    expected = "a vector of real numbers is expected"
    if not output.dtype.is_floating_point:
        raise ModelError(f"gives {describe(output)}; {expected}")
    vectors = _pooled(output) if output.ndim > 1 and len(output) == 1 else None
    if vectors is None or not output.numel():
        raise ModelError(f"makes {describe(output)} from {given}; {expected}")
    if not vectors.isfinite().any():
        raise ModelError(f"makes nothing but undefined numbers (NaN) from {given}")
    if n_classes is not None and vectors.shape[1] != n_classes:
        raise ModelError(
            f"gives {vectors.shape[1]} numbers, but its description has {n_classes} "
            "classes"
        )


def _pooled(output) -> Tensor | None:
    """Vectors; None if the output has no such shape."""
    try:
        return layers.pool(output)
    except ModelError:
        return None


def describe(value) -> str:
    """Describe the input or output of a network, for messages."""
    if isinstance(value, Tensor):
        shape = " x ".join(map(str, value.shape)) or "none"
        return f"a tensor of {str(value.dtype).removeprefix('torch.')}, shape {shape}"
    if isinstance(value, list | tuple | dict):
        return f"{len(value)} outputs"
    return f"a {type(value).__name__}"


def not_images(takes: str) -> ModelError:
    """Make the error for a network whose only input is described by `takes`."""
    return ModelError(f"takes {takes}, not images (float, n x 3 x size x size)")


def short_reason(error) -> str:
    """The message of another library's exception, in one line."""
    text = first_line(error)
    return text if len(text) <= MAX_REASON else text[:MAX_REASON] + "..."


def _reason(error) -> str:
    """Torch's own reason; for an error in TorchScript, this is the last line."""
    lines = message_lines(error)
    says = [line for line in lines if line.startswith("RuntimeError: ")]
    return says[-1].removeprefix("RuntimeError: ") if says else short_reason(error)
