import pytest
import torch
from torch import nn
from torch.nn import functional

from orangecontrib.imageanalytics.errors import NotAveragedError
from orangecontrib.imageanalytics.networks.backbone import check_layer, load_backbone
from orangecontrib.imageanalytics.networks.layers import Pooled, read_layer
from orangecontrib.imageanalytics.networks.network import MAP_OF
from orangecontrib.imageanalytics.networks.positions import find_positions
from orangecontrib.imageanalytics.networks.registry import find_network

SIZE = 16


class Small(nn.Module):
    """Two layers; what happens between the map and the classifier can be changed."""

    def __init__(self, between=None, in_place=False):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, 1)
        self.second = nn.Conv2d(4, 6, 3, 2, 1)
        self.between = between or nn.Identity()
        self.in_place = in_place
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.second(self.first(x))
        if self.in_place:
            x = functional.relu(x, inplace=True)
        return self.head(self.between(x.mean((2, 3))))


class Tokens(nn.Module):
    """As transformers have them, with or without one for the whole image."""

    def __init__(self, has_class_token):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.norm = nn.LayerNorm(6)
        self.has_class_token = has_class_token
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.has_class_token:
            x = torch.cat([x[:, :1], x], 1)
        return self.head(self.norm(x).mean(1))


def seeded(make, *args, **kwargs):
    torch.manual_seed(3)
    return make(*args, **kwargs).eval().requires_grad_(False)


def check(model, layer, side):
    """The mean of the map is the vector; return the positions."""
    images = torch.randn(2, 3, SIZE, SIZE)
    pooled = Pooled(read_layer(model, layer)).eval()
    expected = pooled(images)
    found = find_positions(pooled, SIZE, "test")
    numbers = found(images)
    assert (numbers[:, 0] == side).all()
    positions = numbers[:, 1:].view(2, side * side, -1)
    torch.testing.assert_close(positions.mean(1), expected)
    return positions


@pytest.mark.parametrize("layer", ["penultimate", "logits", "first", "second"])
def test_means_of_layers(layer):
    positions = check(seeded(Small), layer, 8 if layer == "first" else 4)
    assert positions.std(1).min() > 1e-4  # not the mean, repeated


def test_in_their_places():
    model = seeded(Small)
    images = torch.zeros(1, 3, SIZE, SIZE)
    pooled = Pooled(read_layer(model, "penultimate")).eval()
    found = find_positions(pooled, SIZE, "test")
    empty = found(images)[0, 1:].view(4, 4, 6)
    images[:, :, 12:, :4] = 5
    changed = (found(images)[0, 1:].view(4, 4, 6) - empty).abs().sum(2)
    assert (changed[3, :2] > 0).all()  # the last line, at the left
    assert not changed[:3].any() and not changed[:, 2:].any()


def test_activation_outside_of_a_module():
    positions = check(seeded(Small, in_place=True), "penultimate", 4)
    assert positions.min() == 0


def test_channels_last():
    class ChannelsLast(Small):
        def forward(self, x):
            x = self.between(self.second(self.first(x)).permute(0, 2, 3, 1))
            return self.head(x.mean((1, 2)))

    check(seeded(ChannelsLast), "penultimate", 4)


def test_tokens():
    check(seeded(Tokens, False), "penultimate", 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Small(nn.Sequential(nn.Linear(6, 6), nn.Hardswish())),
        lambda: Small(nn.LayerNorm(6)),
        lambda: Tokens(True),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 5)),
    ],
)
@pytest.mark.parametrize("layer", ["penultimate", "logits"])
def test_refused(make, layer):
    pooled = Pooled(read_layer(seeded(make), layer)).eval()
    with pytest.raises(NotAveragedError, match="test: its vectors are not the mean"):
        find_positions(pooled, SIZE, "test")


@pytest.mark.parametrize("model", ["efficientnet-lite0", "squeezenet"])
def test_networks(model):
    network = find_network(model)
    image = torch.randn(1, 3, network.input_size, network.input_size)
    numbers = load_backbone(network, MAP_OF + network.layer)(image)
    vector = load_backbone(network)(image)
    side = int(numbers[0, 0])
    mean = numbers[:, 1:].view(1, side**2, -1).mean(1)
    torch.testing.assert_close(mean, vector, rtol=1e-3, atol=1e-3)


def test_unknown_layers():
    network = find_network("efficientnet-lite0")
    with pytest.raises(ValueError, match="no layer 'nonsense'"):
        check_layer(network, MAP_OF + "nonsense")
    check_layer(network, MAP_OF + "features.3")
