"""The networks that come with a dependency, as modules of torch.

They are made from trees of layers, see `layouts`; this module says what each kind of
layer is in torch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from orangecontrib.imageanalytics.networks import layouts


class SamePadding(nn.Module):
    """See `layouts.SamePadding`."""

    def __init__(self, layer: layouts.SamePadding):
        super().__init__()
        self.margins = layer.margins

    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (*self.margins(x.size(-1)), *self.margins(x.size(-2))))


class InvertedResidual(nn.Module):
    """See `layouts.InvertedResidual`."""

    def __init__(self, layer: layouts.InvertedResidual):
        super().__init__()
        _add_children(self, layer)
        self.adds = layer.adds

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


class Fire(nn.Module):
    """See `layouts.Fire`."""

    def __init__(self, layer: layouts.Fire):
        super().__init__()
        _add_children(self, layer)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        parts = (
            self.expand1x1_activation(self.expand1x1(x)),
            self.expand3x3_activation(self.expand3x3(x)),
        )
        return torch.cat(parts, 1)


class PackagedModule(nn.Module):
    """A whole network.

    Parameters
    ----------
    layout : Layout
    """

    def __init__(self, layout: layouts.Layout):
        super().__init__()
        _add_children(self, layout)
        self.has_classifier = layout.classifier is not None

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes before the softmax, shape (n, n_classes)."""
        means = self.pool(self.features(x)).flatten(1)
        return self.classifier(means) if self.has_classifier else means


def _add_children(module: nn.Module, layer: layouts.Layer) -> None:
    for name, child in layer.children:
        module.add_module(name, _module(child))


def _module(layer: layouts.Layer) -> nn.Module:
    """A layer as a module."""
    match layer:
        case layouts.Sequence():
            return nn.Sequential(*(_module(child) for child in layer.layers))
        case layouts.Convolution():
            return nn.Conv2d(
                layer.inputs,
                layer.outputs,
                layer.kernel,
                layer.stride,
                layer.padding,
                groups=layer.groups,
                bias=layer.bias,
            )
        case layouts.BatchNorm():
            return nn.BatchNorm2d(layer.channels, eps=layer.epsilon)
        case layouts.ReLU():
            return nn.ReLU(inplace=True)
        case layouts.ReLU6():
            return nn.ReLU6(inplace=True)
        case layouts.MaxPool():
            return nn.MaxPool2d(layer.kernel, layer.stride)
        case layouts.Mean():
            return nn.AdaptiveAvgPool2d(1)
        case layouts.Linear():
            return nn.Linear(layer.inputs, layer.outputs)
    return _MODULES[type(layer)](layer)


_MODULES = {
    layouts.SamePadding: SamePadding,
    layouts.InvertedResidual: InvertedResidual,
    layouts.Fire: Fire,
}
