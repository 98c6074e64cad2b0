"""The networks that come with a dependency, as trees of layers, without torch.

The network in torch (`architectures`) and the graph for OpenVINO (`openvino_graphs`)
are both made from these trees. A layer has the name that the module has in torch: the
names from the root to it, joined by dots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from orangecontrib.imageanalytics.networks.network import LOGITS, PENULTIMATE

# Stages of EfficientNet-B0: expansion, kernel, stride, channels, repeats.
# Source: Tan and Le, EfficientNet, ICML 2019, table 1.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
FEATURES, POOL, CLASSIFIER = "features", "pool", "classifier"


@dataclass(frozen=True)
class Layer:
    """A part of a network: a layer, or layers with names."""

    @property
    def children(self) -> tuple[tuple[str, Layer], ...]:
        """Names and layers in it, in the order in which they run."""
        return ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of its own weights, in the order of torch."""
        return ()

    def side(self, side: int) -> int:
        """The side of the map that it makes of one with a given side, in pixels."""
        for _, child in self.children:
            side = child.side(side)
        return side


@dataclass(frozen=True)
class SamePadding(Layer):
    """Zero padding for a convolution of stride 2 that halves the side, rounded up.

    TensorFlow's rule, with which these weights were trained: an odd row or column goes
    to the bottom and right, where PyTorch's padding is symmetric.
    """

    kernel: int

    def margins(self, side: int) -> tuple[int, int]:
        """Rows above and below, or columns at the left and right."""
        total = self.kernel - 2 + side % 2
        return total // 2, total - total // 2

    def side(self, side: int) -> int:
        """As `Layer.side`."""
        return side + sum(self.margins(side))


@dataclass(frozen=True)
class Convolution(Layer):
    """A convolution; `padding` is that of each side."""

    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    padding: int = 0
    bias: bool = True

    @property
    def tensors(self) -> tuple[str, ...]:
        """As `Layer.tensors`."""
        return ("weight", "bias") if self.bias else ("weight",)

    def side(self, side: int) -> int:
        """As `Layer.side`."""
        return (side + 2 * self.padding - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class BatchNorm(Layer):
    """A batch norm in evaluation mode."""

    channels: int
    epsilon: float = 1e-3

    @property
    def tensors(self) -> tuple[str, ...]:
        """As `Layer.tensors`; the last one is only for training."""
        return ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class ReLU(Layer):
    """Rectification."""


@dataclass(frozen=True)
class ReLU6(Layer):
    """Rectification, with 6 as the greatest value."""


@dataclass(frozen=True)
class MaxPool(Layer):
    """The greatest values in windows that lie inside the map."""

    kernel: int = 3
    stride: int = 2

    def side(self, side: int) -> int:
        """As `Layer.side`."""
        return (side - self.kernel) // self.stride + 1


@dataclass(frozen=True)
class Sequence(Layer):
    """Layers that run one after the other; their names are numbers."""

    layers: tuple[Layer, ...]

    @property
    def children(self) -> tuple[tuple[str, Layer], ...]:
        """As `Layer.children`."""
        return tuple((str(index), layer) for index, layer in enumerate(self.layers))


@dataclass(frozen=True)
class InvertedResidual(Layer):
    """A mobile inverted bottleneck; its input is added if `adds`."""

    layers: Sequence
    adds: bool

    @property
    def children(self) -> tuple[tuple[str, Layer], ...]:
        """As `Layer.children`."""
        return (("layers", self.layers),)


@dataclass(frozen=True)
class Fire(Layer):
    """SqueezeNet's module: two convolutions of a squeezed map, side by side."""

    inputs: int
    squeezed: int
    expanded: int  # channels of each of the two

    @property
    def children(self) -> tuple[tuple[str, Layer], ...]:
        """As `Layer.children`; the names are those of torchvision."""
        return (
            ("squeeze", Convolution(self.inputs, self.squeezed)),
            ("squeeze_activation", ReLU()),
            ("expand1x1", Convolution(self.squeezed, self.expanded)),
            ("expand1x1_activation", ReLU()),
            ("expand3x3", Convolution(self.squeezed, self.expanded, 3, padding=1)),
            ("expand3x3_activation", ReLU()),
        )


@dataclass(frozen=True)
class Mean(Layer):
    """The mean over the positions of a map."""


@dataclass(frozen=True)
class Linear(Layer):
    """A linear layer with bias."""

    inputs: int
    outputs: int

    @property
    def tensors(self) -> tuple[str, ...]:
        """As `Layer.tensors`."""
        return "weight", "bias"


@dataclass(frozen=True)
class Layout(Layer):
    """A whole network: features, their mean and, in some, a linear classifier.

    Attributes
    ----------
    features : Sequence
        Their last layer gives the class scores if there is no `classifier`.
    classifier : Linear or None
    """

    features: Sequence
    classifier: Linear | None = None

    @property
    def children(self) -> tuple[tuple[str, Layer], ...]:
        """As `Layer.children`."""
        parts = ((FEATURES, self.features), (POOL, Mean()))
        return (*parts, (CLASSIFIER, self.classifier)) if self.classifier else parts

    def named_layers(self) -> dict[str, Layer]:
        """All layers inside by their names, in the order of torch."""
        return dict(_named(self, ""))

    def tensor_names(self) -> tuple[str, ...]:
        """Names of all weights, in the order of torch."""
        return tuple(
            f"{name}.{tensor}"
            for name, layer in self.named_layers().items()
            for tensor in layer.tensors
        )

    def name_of(self, layer: str) -> str:
        """Name of the layer whose mean over the positions is a vector.

        Parameters
        ----------
        layer : str
            ``"penultimate"``, ``"logits"`` or the name of a layer.

        Raises
        ------
        ValueError
            When there is no such layer. The message does not name the network.
        """
        if layer == LOGITS:
            return CLASSIFIER if self.classifier else POOL
        if layer == PENULTIMATE:
            before_scores = len(self.features.layers) - 2
            return POOL if self.classifier else f"{FEATURES}.{before_scores}"
        if layer not in self.named_layers():
            raise ValueError(f"there is no layer '{layer}'")
        return layer

    def map_of(self, name: str) -> str:
        """Name of the layer whose map is averaged to the vector of another.

        Parameters
        ----------
        name : str
            From `name_of`.
        """
        return FEATURES if name in (POOL, CLASSIFIER) else name

    def stages(self, size: int) -> tuple[str, ...]:
        """Names of the last layers at each scale, for an input of a given side."""
        last, side = {}, size
        end = None if self.classifier else -1  # the last one gives the scores
        for name, layer in self.features.children[:end]:
            side = layer.side(side)
            if not isinstance(layer, SamePadding):  # still the image
                last[side] = f"{FEATURES}.{name}"
        return tuple(last.values())


def _named(parent: Layer, prefix: str) -> Iterator[tuple[str, Layer]]:
    for name, child in parent.children:
        yield prefix + name, child
        yield from _named(child, f"{prefix}{name}.")


def efficientnet_lite(width: float, depth: float) -> Layout:
    """EfficientNet-Lite: EfficientNet without squeeze-and-excitation and swish.

    Stem, head, and the depth of the first and the last stage are not scaled.
    Source: github.com/tensorflow/tpu, models/official/efficientnet/lite.

    Parameters
    ----------
    width, depth : float
        Multipliers of channels and of repeats: 1.0 and 1.0 for Lite0 (4.7 million
        parameters), 1.1 and 1.2 for Lite2 (6.1 million).
    """
    layers, inputs = [_convolution(3, 32, 3, stride=2)], 32
    for index, (expansion, kernel, stride, channels, repeats) in enumerate(STAGES):
        outputs = _round_channels(channels * width)
        if 0 < index < len(STAGES) - 1:
            repeats = math.ceil(repeats * depth)
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            layers.append(_inverted_residual(inputs, outputs, kernel, step, expansion))
            inputs = outputs
    layers.append(_convolution(inputs, 1280))
    return Layout(Sequence(tuple(layers)), Linear(1280, 1000))


def _convolution(inputs, outputs, kernel=1, stride=1, groups=1, activates=True):
    """Convolution, batch norm and activation, padded as TensorFlow pads."""
    padding = kernel // 2 if stride == 1 else 0
    layers = [
        Convolution(inputs, outputs, kernel, stride, groups, padding, bias=False),
        BatchNorm(outputs),
    ]
    if activates:
        layers.append(ReLU6())
    convolution = Sequence(tuple(layers))
    return convolution if stride == 1 else Sequence((SamePadding(kernel), convolution))


def _inverted_residual(inputs, outputs, kernel, stride, expansion):
    hidden = inputs * expansion
    layers = [] if expansion == 1 else [_convolution(inputs, hidden)]
    layers += [
        _convolution(hidden, hidden, kernel, stride, groups=hidden),
        _convolution(hidden, outputs, activates=False),
    ]
    adds = stride == 1 and inputs == outputs
    return InvertedResidual(Sequence(tuple(layers)), adds)


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8 that is at most a tenth below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def squeezenet() -> Layout:
    """SqueezeNet 1.1 as the ``ndf`` package runs it.

    It differs from torchvision's in the padding of the first convolution and of
    the poolings, and in having no ReLU after the last convolution: the vectors
    are signed. Source: Iandola et al., arXiv:1602.07360;
    github.com/forresti/SqueezeNet.
    """
    layers = (
        SamePadding(3),
        Convolution(3, 64, 3, stride=2),
        ReLU(),
        MaxPool(),
        Fire(64, 16, 64),
        Fire(128, 16, 64),
        MaxPool(),
        Fire(128, 32, 128),
        Fire(256, 32, 128),
        MaxPool(),
        Fire(256, 48, 192),
        Fire(384, 48, 192),
        Fire(384, 64, 256),
        Fire(512, 64, 256),
        Convolution(512, 1000),
    )
    return Layout(Sequence(layers))
