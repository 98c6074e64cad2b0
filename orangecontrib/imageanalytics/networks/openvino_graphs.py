"""The graphs for OpenVINO of the networks that come with a dependency.

They are made from trees of layers and from weights in arrays, so that these networks
run where torch is not installed, and start without it.
"""

from __future__ import annotations

import numpy as np

from orangecontrib.imageanalytics.networks import layouts
from orangecontrib.imageanalytics.networks.layouts import CLASSIFIER, Layout
from orangecontrib.imageanalytics.networks.network import MAP_OF
from orangecontrib.imageanalytics.networks.openvino_library import library

_POSITIONS = [2, 3]  # the axes of height and width in a map


def build_graph(layout: Layout, arrays: dict[str, np.ndarray], layer: str, size: int):
    """Make the graph of a network up to a layer.

    Parameters
    ----------
    layout : Layout
    arrays : dict of str to numpy.ndarray
        The weights by the names of `Layout.tensor_names`.
    layer : str
        As for `backbone.load_backbone`.
    size : int
        Side of the input in pixels.

    Returns
    -------
    openvino.Model
        Takes a float32 image, shape (1, 3, size, size), and returns what the network of
        `backbone.load_backbone` returns, shape (1, n_features) for vectors.

    Raises
    ------
    ValueError
        When there is no such layer.
    """
    openvino = library()
    graph = _Graph(layout, arrays)
    image = graph.ops.parameter([1, 3, size, size], np.float32)
    graph.run(layout, "", image)
    averaged = layer.removeprefix(MAP_OF)
    output = graph.vector(averaged) if averaged == layer else graph.positions(averaged)
    return openvino.Model([output], [image])


class _Graph:
    """A graph in the making.

    Parameters
    ----------
    layout : Layout
    arrays : dict of str to numpy.ndarray
    """

    def __init__(self, layout: Layout, arrays: dict[str, np.ndarray]):
        library()
        from openvino import op, opset5

        self.ops = opset5
        self._constant = op.Constant
        self._layout = layout
        self._layers = layout.named_layers()
        self._arrays = arrays
        self._outputs = {}

    # Outputs --------------------------------------------------------------------------

    def vector(self, layer: str):
        """The vector of a layer."""
        output = self._outputs[self._layout.name_of(layer)]
        return output if len(output.shape) == 2 else self._mean(output)

    def positions(self, layer: str):
        """The map of a layer as `positions.Positions` returns it."""
        ops, name = self.ops, self._layout.name_of(layer)
        maps = self._outputs[self._layout.map_of(name)]
        _, n_channels, side, _ = maps.shape
        rows = ops.reshape(maps, np.int64([1, n_channels, side * side]), False)
        rows = ops.transpose(rows, np.int64([0, 2, 1]))
        if name == CLASSIFIER:
            rows = self._linear(name, rows)
        line = ops.reshape(rows, np.int64([1, -1]), False)
        return ops.concat([np.float32([[side]]), line], 1)

    # Layers ---------------------------------------------------------------------------

    def run(self, layer: layouts.Layer, name: str, x):
        """Add a layer and those in it.

        Parameters
        ----------
        layer : Layer
        name : str
            Its name; empty for the whole network.
        x : openvino.Node
            Its input.

        Returns
        -------
        openvino.Node
            Its output.
        """
        match layer:
            case layouts.SamePadding():
                output = self._pad(layer, x)
            case layouts.Convolution():
                output = self._convolution(layer, name, x)
            case layouts.BatchNorm():
                output = self._batch_norm(layer, name, x)
            case layouts.ReLU():
                output = self.ops.relu(x)
            case layouts.ReLU6():
                output = self.ops.clamp(x, 0.0, 6.0)
            case layouts.MaxPool():
                output = self._max_pool(layer, x)
            case layouts.Fire():
                output = self._fire(layer, name, x)
            case layouts.Mean():
                output = self._mean(x)
            case layouts.Linear():
                output = self._linear(name, x)
            case _:
                output = self._in_order(layer, name, x)
        if isinstance(layer, layouts.InvertedResidual) and layer.adds:
            output = self.ops.add(output, x)
        self._outputs[name] = output
        return output

    def _in_order(self, layer, name, x):
        for child_name, child in layer.children:
            x = self.run(child, f"{name}.{child_name}".lstrip("."), x)
        return x

    def _weights(self, name) -> list:
        """The weights of a layer as constants."""
        names = (f"{name}.{tensor}" for tensor in self._layers[name].tensors)
        # The functions in `ops` would turn arrays into lists first.
        return [self._constant(self._arrays[name]) for name in names]

    def _pad(self, layer, x):
        margins = np.int64([layer.margins(side) for side in (1, 1, *x.shape[2:])])
        margins[:2] = 0  # of the images and the channels
        before, after = margins.T
        return self.ops.pad(x, before, after, "constant", np.float32(0))

    def _convolution(self, layer, name, x):
        kernel = self._arrays[f"{name}.weight"]
        sides = [layer.padding] * 2
        geometry = [layer.stride] * 2, sides, sides, [1, 1]
        if layer.groups > 1:
            kernel = kernel.reshape(layer.groups, -1, *kernel.shape[1:])
            x = self.ops.group_convolution(x, self._constant(kernel), *geometry)
        else:
            x = self.ops.convolution(x, self._constant(kernel), *geometry)
        if not layer.bias:
            return x
        bias = self._arrays[f"{name}.bias"].reshape(1, -1, 1, 1)
        return self.ops.add(x, self._constant(bias))

    def _batch_norm(self, layer, name, x):
        # OpenVINO folds it into the convolution.
        weight, bias, mean, variance, _ = self._weights(name)
        return self.ops.batch_norm_inference(
            x, weight, bias, mean, variance, layer.epsilon
        )

    def _max_pool(self, layer, x):
        nothing = [0, 0]
        sides = [layer.stride] * 2, nothing, nothing, [layer.kernel] * 2
        return self.ops.max_pool(x, *sides)

    def _fire(self, layer, name, x):
        parts = list(layer.children)
        for child_name, child in parts[:2]:
            x = self.run(child, f"{name}.{child_name}", x)
        expanded = []
        for convolution, activation in (parts[2:4], parts[4:]):
            y = x
            for child_name, child in (convolution, activation):
                y = self.run(child, f"{name}.{child_name}", y)
            expanded.append(y)
        return self.ops.concat(expanded, 1)

    def _mean(self, x):
        return self.ops.reduce_mean(x, np.int64(_POSITIONS), keep_dims=False)

    def _linear(self, name, x):
        weight, bias = self._weights(name)
        product = self.ops.matmul(x, weight, False, True)
        return self.ops.add(product, bias)
