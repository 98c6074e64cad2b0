"""Load networks so that they are ready to run."""

from __future__ import annotations

import torch
from torch import nn

from orangecontrib.imageanalytics.errors import ModelError, NotAveragedError
from orangecontrib.imageanalytics.networks.layers import Pooled
from orangecontrib.imageanalytics.networks.network import MAP_OF, Network
from orangecontrib.imageanalytics.networks.positions import find_positions


def load_backbone(
    network: Network, layer: str | None = None, callback=None
) -> nn.Module:
    """Load a network with its weights, in evaluation mode, on the CPU.

    Parameters
    ----------
    network : Network
    layer : str, optional
        ``"penultimate"``, ``"logits"`` or the name of a stage. By default, the
        network's own default layer. After `MAP_OF`, the vectors of all positions
        whose mean is the vector of the layer; see `Positions`.
    callback : callable, optional
        Called with the fraction of a download that is done.

    Returns
    -------
    torch.nn.Module
        Takes a float32 batch, shape (n, 3, size, size), and returns vectors, shape
        (n, n_features).

    Raises
    ------
    ModelError
        When the weights are not available or do not fit, or when a test image
        does not become a vector.
    NotAveragedError
        When there are no such positions.
    ValueError
        When there is no such layer.
    """
    return _load(network, layer, callback)[0]


def count_features(network: Network, layer: str | None = None) -> int:
    """Find the length of the vectors with one image.

    Parameters and errors are those of `load_backbone`.
    """
    return _load(network, layer)[1]


def check_layer(network: Network, layer: str) -> None:
    """Check, without the weights, whether a network has a layer.

    Networks that cannot be built without their weights are not checked.

    Parameters
    ----------
    network : Network
    layer : str
        As for `load_backbone`.

    Raises
    ------
    ValueError
        When there is no such layer. The message names the stages.
    """
    layer = layer.removeprefix(MAP_OF)
    if layer != network.layer and (model := network.build()) is not None:
        _read_layer(network, model, layer)


def _load(network, layer, callback=None) -> tuple[nn.Module, int]:
    """The network, and the length of the vector of a probe image."""
    layer = layer or network.layer
    averaged = layer.removeprefix(MAP_OF)
    if network.megabytes and not network.available():
        check_layer(network, layer)  # before anybody waits for a download
    path = network.ensure_weights(callback)
    model = _read_layer(network, network.load(path), averaged)
    backbone = Pooled(model).eval()
    n_features = _probe(backbone, network)
    if averaged != layer:
        if not network.has_layers:
            raise NotAveragedError(f"{network.name}: only its output can be read")
        backbone = find_positions(backbone, network.input_size, network.name).eval()
    return backbone, n_features


def _read_layer(network, model, layer):
    try:
        return network.read_layer(model, layer)
    except ValueError as error:
        raise network.no_layer(str(error)) from error


def _probe(backbone, network) -> int:
    """Find errors with a single image instead of the first of thousands.

    Returns
    -------
    int
        Length of its vector.
    """
    size = network.input_size
    try:
        with torch.inference_mode():
            vectors = backbone(torch.zeros(1, 3, size, size))
    except Exception as error:  # of whatever kind: the network may be anyone's
        raise ModelError(
            f"{network.name}: a probe image of {size} x {size} pixels does not "
            f"become a vector: {error}"
        ) from error
    if len(vectors) != 1 or not vectors.shape[1]:
        shape = " x ".join(map(str, vectors.shape))
        raise ModelError(f"{network.name}: one image becomes {shape} numbers")
    return vectors.shape[1]
