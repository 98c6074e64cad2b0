"""The map that a network averages to its vectors, which shows where they come from.

A linear function of the mean over positions is the mean of this function over the
positions: a class activation map. Source: Zhou et al., Learning Deep Features for
Discriminative Localization, CVPR 2016.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from orangecontrib.imageanalytics.errors import NotAveragedError
from orangecontrib.imageanalytics.networks.layers import Pooled, Stage

# Allowed difference from the vectors, as a fraction of their greatest number.
TOLERANCE = 1e-3


class Positions(nn.Module):
    """A network up to the map whose mean over the positions is its vector.

    Safe to run in several threads at once.

    Parameters
    ----------
    pooled : Pooled
    name : str
        The module in it that returns the map.
    n_channels : int
        Number of features in the map.
    rectified : bool
        Whether the mean is that of the positive part, as in DenseNets.
    classifier : torch.nn.Module, optional
        A linear layer that is applied to the mean.
    """

    def __init__(
        self,
        pooled: Pooled,
        name: str,
        n_channels: int,
        rectified: bool = False,
        classifier: nn.Module | None = None,
    ):
        super().__init__()
        self.model = Stage(pooled, name)
        self.n_channels = n_channels
        self.rectified = rectified
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """The side of the map, then the vectors of all positions, line by line.

        Returns
        -------
        torch.Tensor
            Shape (n, 1 + side * side * features). `Passes.positions` takes it apart.
        """
        output = _as_positions(self.model(x), self.n_channels)
        if self.rectified:
            output = functional.relu(output)
        if self.classifier is not None:
            output = self.classifier(output)
        side = torch.full_like(output[:, :1, 0], math.isqrt(output.shape[1]))
        return torch.cat([side, output.flatten(1)], 1)


def _as_positions(output: Tensor, n_channels: int) -> Tensor | None:
    """A map or tokens as shape (n, positions, features); None for other outputs."""
    shape = tuple(output.shape)
    if len(shape) == 3 and shape[2] == n_channels:
        side = math.isqrt(shape[1])  # a class token would be at no position
        return output if side > 1 and side * side == shape[1] else None
    if len(shape) != 4:
        return None
    if shape[1] == n_channels and shape[2] == shape[3] > 1:
        return output.flatten(2).transpose(1, 2)
    if shape[3] == n_channels and shape[1] == shape[2] > 1:
        return output.flatten(1, 2)
    return None


def find_positions(pooled: Pooled, size: int, name: str) -> Positions:
    """Find the map that a network averages, by comparing means on one image.

    Parameters
    ----------
    pooled : Pooled
        In evaluation mode.
    size : int
        Side of its input in pixels.
    name : str
        Name of the network, for messages.

    Raises
    ------
    NotAveragedError
        When its vectors are not the mean of a map.
    """
    generator = torch.Generator().manual_seed(0)
    image, other = torch.randn(2, 1, 3, size, size, generator=generator)
    outputs, inputs, vector = _record(pooled, image)
    with torch.inference_mode():
        expected = pooled(other)
    # The last ones: these are nearest to the vector.
    found = _find(pooled, outputs, vector) or _find_before_classifier(
        pooled, outputs, inputs, vector
    )
    if found is None:
        raise NotAveragedError(
            f"{name}: its vectors are not the mean over the positions of a map"
        )
    with torch.inference_mode():
        positions = found(other)[:, 1:].view(1, -1, expected.shape[1])
    if not _equal(positions.mean(1), expected):
        raise NotAveragedError(f"{name}: the mean of its map is not its vector")
    return found


def _record(pooled, image):
    """Outputs of all modules, and inputs of linear ones, in the order of computation.

    Returns
    -------
    outputs, inputs : dict of str to torch.Tensor
    vector : torch.Tensor
        Shape (1, n_features).
    """
    outputs, inputs, handles = {}, {}, []

    def recorder(name):
        def record(module, arguments, output):
            if isinstance(output, Tensor):
                outputs.pop(name, None)
                # The next module may change it in place.
                outputs[name] = output.clone()
            if isinstance(module, nn.Linear):
                inputs[name] = arguments[0].clone()

        return record

    for name, module in pooled.named_modules():
        if name:
            handles.append(module.register_forward_hook(recorder(name)))
    try:
        with torch.inference_mode():
            vector = pooled(image)
    finally:
        for handle in handles:
            handle.remove()
    return outputs, inputs, vector


def _find(pooled, outputs, vector, classifier=None) -> Positions | None:
    """The last output whose mean is a vector."""
    n_channels = vector.shape[1]
    for name, output in reversed(outputs.items()):
        positions = _as_positions(output, n_channels)
        if positions is None:
            continue
        for rectified in (False, True):
            kept = functional.relu(positions) if rectified else positions
            if _equal(kept.mean(1), vector):
                return Positions(pooled, name, n_channels, rectified, classifier)
    return None


def _find_before_classifier(pooled, outputs, inputs, vector) -> Positions | None:
    """The map before a linear layer whose output is the vector."""
    for name, mean in reversed(inputs.items()):
        output = outputs[name]
        if output.shape == vector.shape and torch.equal(output, vector):
            return _find(pooled, outputs, mean, pooled.get_submodule(name))
    return None


def _equal(found: Tensor, expected: Tensor) -> bool:
    most = expected.abs().max()
    return bool(most > 0 and (found - expected).abs().max() <= TOLERANCE * most)
