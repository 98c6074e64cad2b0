"""Networks whose weights are a state dict, and those that come with a dependency."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.array_files import read_arrays
from orangecontrib.imageanalytics.networks.layouts import Layout
from orangecontrib.imageanalytics.networks.network import MAP_OF, Network
from orangecontrib.imageanalytics.networks.openvino_library import library
from orangecontrib.imageanalytics.networks.weights import read_checkpoint

if TYPE_CHECKING:
    import openvino
    from torch import Tensor, nn


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
        state = self.read_tensors(path)
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

    def read_tensors(self, path: str) -> dict[str, Tensor]:
        """Read the state dict of the network from its weight file.

        Raises
        ------
        ModelError
            When the file cannot be read or is not for this network.
        """
        return self.adapt(read_checkpoint(path, self.weights.sha256))

    def adapt(self, state: dict) -> dict:
        """Make a state dict of the network from the content of a weight file.

        Parameters
        ----------
        state : dict
            The content of the file, by name.

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


@dataclass(frozen=True, kw_only=True)
class PackagedNetwork(CheckpointNetwork):
    """A network whose weights lie inside an installed dependency.

    Its tensors are stored in the order of the layers, under other names. It runs in
    OpenVINO without torch.

    Attributes
    ----------
    layout : Layout
        Its layers.
    """

    layout: Layout
    builder: str = "orangecontrib.imageanalytics.networks.architectures:PackagedModule"

    def __post_init__(self):
        object.__setattr__(self, "options", (("layout", self.layout),))

    def read_tensors(self, path: str) -> dict[str, Tensor]:
        """As `CheckpointNetwork.read_tensors`."""
        import torch

        arrays = self._read_arrays(path)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _read_arrays(self, path: str) -> dict[str, np.ndarray]:
        return self.adapt(read_arrays(path, self.weights.sha256))

    def adapt(self, state: dict) -> dict:
        """As `CheckpointNetwork.adapt`."""
        names = self.layout.tensor_names()
        if len(names) != len(state):
            raise ModelError(f"{self.name}: {len(names)} tensors expected")
        return dict(zip(names, state.values(), strict=True))

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`."""
        return self.layout.stages(self.input_size)

    def check_layer(self, layer: str) -> None:
        """As `Network.check_layer`."""
        try:
            self.layout.name_of(layer.removeprefix(MAP_OF))
        except ValueError as error:
            raise self.no_layer(str(error)) from error

    def count_features(self) -> int:
        """As `Network.count_features`."""
        graph = self.openvino_graph(self.layer)
        network = library().Core().compile_model(graph, "CPU")
        (vector,) = network(np.zeros(graph.input(0).shape, np.float32))[0]
        return len(vector)

    @property
    def makes_graph(self) -> bool:
        """As `Network.makes_graph`."""
        return True

    def openvino_graph(self, layer: str) -> openvino.Model:
        """As `Network.openvino_graph`."""
        from orangecontrib.imageanalytics.networks.openvino_graphs import build_graph

        self.check_layer(layer)
        arrays = self._read_arrays(self.ensure_weights())
        return build_graph(self.layout, arrays, layer, self.input_size)


class PackagedSqueezeNet(PackagedNetwork):
    """SqueezeNet from the package ``ndf``, which has NumPy arrays by layer names."""

    def adapt(self, state: dict) -> dict:
        """As `CheckpointNetwork.adapt`.

        Parameters
        ----------
        state : dict of str to (numpy.ndarray, numpy.ndarray)
            Kernel, shape (height, width, in, out), and bias of each layer.
        """
        # In the order in which they run: conv1, each Fire module's squeeze1x1,
        # expand1x1 and expand3x3, conv10.
        parts = ("squeeze1x1", "expand1x1", "expand3x3")
        fires = [f"fire{number}/{part}" for number in range(2, 10) for part in parts]
        arrays = {}
        for name in ("conv1", *fires, "conv10"):
            kernel, bias = state[name]
            arrays[name] = kernel.transpose(3, 2, 0, 1).copy()
            arrays[name + "/bias"] = bias
        return super().adapt(arrays)
