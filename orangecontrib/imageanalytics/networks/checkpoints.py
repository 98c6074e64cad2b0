"""Networks whose weights are a state dict: the packaged ones and torchvision's.

The functions that other modules use are those that each loader has.
"""

from __future__ import annotations

import importlib
import itertools
import re

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import layers
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.weights import read_checkpoint


def load(network: Network, path: str) -> nn.Module:
    """The whole network with its weights, on the CPU.

    Parameters
    ----------
    network : Network
    path : str
        Its weight file.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, from a float32 batch, shape (n, 3, size, size).

    Raises
    ------
    ModelError
        When the file cannot be read or is not of this network.
    """
    state = _read_state(network, path)
    # Built without memory: the weights take their places, so the random ones
    # would be drawn in vain, which takes seconds for the VGGs.
    model = build(network)
    try:
        model.load_state_dict(state, assign=True)
    except (RuntimeError, ValueError) as error:  # the latter of MNASNets
        raise ModelError(
            f"{network.name}: the weights in {path} are not for this network: {error}"
        ) from error
    return model.requires_grad_(False)


def read_layer(model: nn.Module, network: Network, layer: str) -> nn.Module:
    """The part of a loaded network that ends with a layer.

    Parameters
    ----------
    model : torch.nn.Module
        From `load`; no longer to be used itself.
    network : Network
    layer : str
        ``"penultimate"``, ``"logits"`` or the name of a module.

    Returns
    -------
    torch.nn.Module
        Its output is what `layers.pool` takes. Convolutions and batch norms are
        fused.

    Raises
    ------
    ValueError
        When there is no such layer.
    """
    fuse_batch_norms(model, keep=layer)
    model.to(memory_format=torch.channels_last)
    return layers.read_layer(model, layer)


def stages(network: Network) -> tuple[str, ...]:
    """Names of layers that are offered beside the penultimate and the logits.

    Does without the weights. Takes seconds the first time.
    """
    return layers.find_stages(build(network), network.input_size)


def build(network: Network, device: str = "meta") -> nn.Module:
    """The network without its weights, and by default without memory for them."""
    module, _, function = network.builder.partition(":")
    # Before the device is set: torchvision cannot be imported on "meta" by torch 2.6.
    builder = getattr(importlib.import_module(module), function)
    options = dict(network.options)
    try:
        with torch.device(device):
            return builder(**options).eval()
    except NotImplementedError:
        # RegNets compute with tensors while they are built.
        return builder(**options).to(device).eval()


def fuse_batch_norms(model: nn.Module, keep: str = "") -> None:
    """Fold each batch norm into the convolution that stands before it.

    Not with torch.fx, which while it traces one network breaks those that run in
    other threads.

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


def _read_state(network: Network, path: str) -> dict:
    state = read_checkpoint(path, network.weights.sha256)
    adapt = ADAPT.get(network.builder.rpartition(":")[2])
    return adapt(network, state) if adapt else state


def _by_position(network: Network, state: dict) -> dict:
    """Names of our modules for tensors that are stored in the same order."""
    names = list(build(network).state_dict())
    if len(names) != len(state):
        raise ModelError(f"{network.name}: {len(names)} tensors expected")
    return dict(zip(names, state.values(), strict=True))


def _from_ndf(network: Network, layers: dict) -> dict:
    """Kernels, shape (height, width, in, out), and biases by the layer's name."""
    # In the order in which they run: conv1, each Fire module's squeeze1x1,
    # expand1x1 and expand3x3, conv10.
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    fires = [f"fire{number}/{part}" for number in range(2, 10) for part in parts]
    tensors = {}
    for name in ("conv1", *fires, "conv10"):
        kernel, bias = layers[name]
        tensors[name] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        tensors[name + "/bias"] = torch.from_numpy(bias)
    return _by_position(network, tensors)


def _rename_densenet(network: Network, state: dict) -> dict:
    """Names of today for a checkpoint made when they could hold more dots."""
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
    return {old.sub(r"\1\2.", name): tensor for name, tensor in state.items()}


ADAPT = {
    "efficientnet_lite0": _by_position,
    "efficientnet_lite2": _by_position,
    "SqueezeNet": _from_ndf,
    "densenet121": _rename_densenet,
    "densenet161": _rename_densenet,
    "densenet169": _rename_densenet,
    "densenet201": _rename_densenet,
}
