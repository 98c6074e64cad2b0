"""Networks whose weights are a state dict, and those that come with a dependency."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.weights import read_checkpoint

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class CheckpointNetwork(Network):
    """A network whose weight file is a state dict.

    Attributes
    ----------
    builder : str
        The ``module:function`` that makes the network.
    options : tuple of (str, object)
        Arguments of `builder`.
    """

    builder: str
    options: tuple[tuple[str, object], ...] = ()

    def load(self, path: str) -> nn.Module:
        """As `Network.load`."""
        state = self.adapt(read_checkpoint(path, self.weights.sha256))
        # Built without memory, since the weights replace the random ones, which
        # take seconds to draw for the VGGs.
        model = self.build()
        try:
            model.load_state_dict(state, assign=True)
        except (RuntimeError, ValueError) as error:  # the latter of MNASNets
            raise ModelError(
                f"{self.name}: the weights in {path} are not for this network: {error}"
            ) from error
        return model.requires_grad_(False)

    def adapt(self, state: dict) -> dict:
        """Make a state dict of the network from the content of a weight file.

        Parameters
        ----------
        state : dict
            From `read_checkpoint`.

        Raises
        ------
        ModelError
            When the file is not for this network.
        """
        return state

    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """As `Network.read_layer`; convolutions and batch norms are fused."""
        import torch

        from orangecontrib.imageanalytics.networks import layers

        layers.fuse_batch_norms(model, keep=layer)
        model.to(memory_format=torch.channels_last)
        return layers.read_layer(model, layer)

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`."""
        from orangecontrib.imageanalytics.networks import layers

        return layers.find_stages(self.build(), self.input_size)

    def build(self, device: str = "meta") -> nn.Module:
        """As `Network.build`, by default without memory for the weights."""
        import torch

        module, _, function = self.builder.partition(":")
        # Before the device is set: torchvision cannot be imported on "meta" by
        # torch 2.6.
        builder = getattr(importlib.import_module(module), function)
        options = dict(self.options)
        try:
            with torch.device(device):
                return builder(**options).eval()
        except NotImplementedError:
            # RegNets compute with tensors while they are built.
            return builder(**options).to(device).eval()


class PackagedNetwork(CheckpointNetwork):
    """A network whose weights lie inside an installed dependency.

    Its tensors are stored in the order of our modules, under other names.
    """

    def adapt(self, state: dict) -> dict:
        """As `CheckpointNetwork.adapt`."""
        names = list(self.build().state_dict())
        if len(names) != len(state):
            raise ModelError(f"{self.name}: {len(names)} tensors expected")
        return dict(zip(names, state.values(), strict=True))


class PackagedSqueezeNet(PackagedNetwork):
    """SqueezeNet from the package ``ndf``, which has NumPy arrays by layer names."""

    def adapt(self, state: dict) -> dict:
        """As `CheckpointNetwork.adapt`.

        Parameters
        ----------
        state : dict of str to (numpy.ndarray, numpy.ndarray)
            Kernel, shape (height, width, in, out), and bias of each layer.
        """
        import torch

        # In the order in which they run: conv1, each Fire module's squeeze1x1,
        # expand1x1 and expand3x3, conv10.
        parts = ("squeeze1x1", "expand1x1", "expand3x3")
        fires = [f"fire{number}/{part}" for number in range(2, 10) for part in parts]
        tensors = {}
        for name in ("conv1", *fires, "conv10"):
            kernel, bias = state[name]
            tensors[name] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            tensors[name + "/bias"] = torch.from_numpy(bias)
        return super().adapt(tensors)
