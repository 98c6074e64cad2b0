"""Read the numbers before a network's classifier, its scores or those of a stage.

This does not use torchvision's ``feature_extraction``, which traces networks with
torch.fx: while it does so, networks that run in other threads break.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.network import LOGITS, PENULTIMATE

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
BLOCKS = 4  # so many equal modules in a row are a transformer's


def read_layer(model: nn.Module, layer: str) -> nn.Module:
    """The part of a network that ends with a layer.

    Parameters
    ----------
    model : torch.nn.Module
        Its last linear or convolutional layer must be its classifier. It is changed
        in place.
    layer : str
        ``"penultimate"``, ``"logits"``, or the name of any module in it.

    Raises
    ------
    ValueError
        When there is no such layer.
    """
    if layer == LOGITS:
        return model
    if layer == PENULTIMATE:
        remove_classifier(model)
        return model
    try:
        model.get_submodule(layer)
    except AttributeError as error:
        raise ValueError(f"there is no layer '{layer}'") from error
    return Stage(model, layer)


def fuse_batch_norms(model: nn.Module, keep: str = "") -> None:
    """Fold each batch norm into the convolution before it.

    This does not use torch.fx: while it traces one network, those that run in other
    threads break.

    Parameters
    ----------
    model : torch.nn.Module
        In evaluation mode; changed in place.
    keep : str
        Name of a convolution to leave alone, since its own output is read.
    """
    for path, parent in list(model.named_modules()):
        children = list(parent.named_children())
        for (name, layer), (norm_name, norm) in itertools.pairwise(children):
            if keep == f"{path}.{name}".lstrip("."):
                continue
            # Not of subclasses, which may do more: an activation, other weights.
            if type(layer) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, norm_name, nn.Identity())


def remove_classifier(model: nn.Module) -> None:
    """Make a network return the input of its classifier.

    The classifier is the last linear layer, or the last convolution as in
    SqueezeNet, which pools the scores afterwards.
    """
    parent, _, child = _classifier(model).rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Identity())


def _classifier(model: nn.Module) -> str:
    layers = (nn.Linear, nn.Conv2d)
    names = [name for name, m in model.named_modules() if isinstance(m, layers)]
    if not names:
        raise ValueError("it has no classifier")
    return names[-1]


class _Reached(Exception):
    """Carries a stage's output out of the network."""

    def __init__(self, output):
        super().__init__()
        self.output = output


class Stage(nn.Module):
    """A network up to one of its modules; later modules are not computed.

    Safe to run in several threads at once.
    """

    def __init__(self, model: nn.Module, name: str):
        super().__init__()
        self.model = model
        self.name = name
        model.get_submodule(name).register_forward_hook(self._stop)

    @staticmethod
    def _stop(_module, _inputs, output):
        raise _Reached(output)

    def forward(self, x: Tensor) -> Tensor:
        """The module's output, of whatever shape."""
        try:
            self.model(x)
        except _Reached as reached:
            return reached.output
        raise ModelError(f"the layer '{self.name}' takes no part in the computation")


class Intermediate(nn.Module):
    """A network of timm up to one of its stages.

    Parameters
    ----------
    model : torch.nn.Module
    index : int
        Index of the stage in timm.
    """

    def __init__(self, model: nn.Module, index: int):
        super().__init__()
        self.model = model
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """The stage's map, shape (n, features, side, side)."""
        (output,) = self.model.forward_intermediates(
            x,
            indices=[self.index],
            stop_early=True,
            output_fmt="NCHW",
            intermediates_only=True,
        )
        return output


class Pooled(nn.Module):
    """A network whose output is averaged over positions to one vector per image.

    Parameters
    ----------
    model : torch.nn.Module
        Returns features, shape (n, features), a map of them, shape
        (n, features, side, side) or (n, side, side, features), or tokens, shape
        (n, tokens, features).
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Vectors, shape (n, features)."""
        return pool(self.model(x))


def pool(output: Tensor) -> Tensor:
    """Means over the positions of a map or over tokens; see `Pooled`.

    Raises
    ------
    ModelError
        When the shape is none of those.
    """
    output = unwrap(output)
    if not isinstance(output, Tensor):
        raise ModelError(f"it gives a {type(output).__name__}, not one tensor")
    if output.ndim == 2:
        return output
    if output.ndim == 3:
        return output.mean(1)
    if (side := _side(output.shape)) is None:
        raise ModelError(f"its output of shape {_text(output.shape)} is no vector")
    return output.mean((2, 3) if output.shape[2:] == (side, side) else (1, 2))


def unwrap(output):
    """The output of a network, taken out of containers that hold nothing else."""
    while isinstance(output, list | tuple | dict) and len(output) == 1:
        (output,) = output.values() if isinstance(output, dict) else output
    return output


def _side(shape) -> int | None:
    """Side of a square map of features; None for other shapes."""
    if len(shape) == 4 and shape[2] == shape[3]:
        return shape[2]
    return shape[1] if len(shape) == 4 and shape[1] == shape[2] else None


def _text(shape) -> str:
    return " x ".join(map(str, shape))


def find_stages(model: nn.Module, size: int) -> tuple[str, ...]:
    """Names of the modules whose outputs make sensible vectors.

    For a network that scales its maps down, these are the last modules at each scale;
    for a transformer, the blocks.

    Parameters
    ----------
    model : torch.nn.Module
        Best on the "meta" device, where nothing is computed.
    size : int
        Side of its input in pixels.
    """
    shapes = _output_shapes(model, size)
    last = {}
    blocks = set(_blocks(model, "", shapes))
    for name, shape in shapes.items():
        if name in blocks:
            side = _side(shape)
            last.pop(side, None)
            last[name if side is None else side] = name
    return tuple(last.values())


def _output_shapes(model, size) -> dict[str, tuple[int, ...]]:
    """Shapes of outputs by module name, in the order in which they are computed.

    Only maps and tokens before the classifier are included.
    """
    shapes = {}

    def recorder(name):
        def record(_module, _inputs, output):
            is_map = isinstance(output, Tensor) and output.ndim > 2
            # Neither one position nor the image itself, padded.
            if is_map and output.shape[-2:] != (1, 1) and output.shape[1] != 3:
                shapes[name] = tuple(output.shape)

        return record

    for name, module in model.named_modules():
        if name and not isinstance(module, nn.Dropout | nn.Identity):
            module.register_forward_hook(recorder(name))
    device = next(model.parameters()).device
    with torch.inference_mode():
        # Two: some networks in training mode want more than one.
        Stage(model, _classifier(model))(torch.zeros(2, 3, size, size, device=device))
    shapes.pop(_classifier(model), None)
    return shapes


def _blocks(parent, prefix, shapes):
    """Names of the outermost modules that do not contain several stages."""
    for name, child in parent.named_children():
        path = prefix + name
        if _has_stages(child, path, shapes):
            yield from _blocks(child, path + ".", shapes)
        elif path in shapes:
            yield path


def _has_stages(module, path, shapes) -> bool:
    if any(_are_blocks(m) for m in module.modules()) and not _is_map(path, shapes):
        return True
    children = [f"{path}.{name}" for name, _ in module.named_children()]
    sides = {_side(shapes[name]) for name in children if name in shapes}
    return isinstance(module, CONTAINERS) and len(sides) > 1


def _is_map(path, shapes) -> bool:
    return path in shapes and _side(shapes[path]) is not None


def _are_blocks(module) -> bool:
    children = list(module.children())
    alike = len({type(child) for child in children}) == 1
    return isinstance(module, CONTAINERS) and alike and len(children) >= BLOCKS
