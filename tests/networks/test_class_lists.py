import pytest
from torchvision.models import get_weight

from orangecontrib.imageanalytics.networks.class_lists import (
    IMAGENET,
    imagenet_classes,
)
from orangecontrib.imageanalytics.networks.registry import NETWORKS


@pytest.mark.parametrize(
    "weights", ["EfficientNet_B0_Weights.IMAGENET1K_V1", "ResNet50_Weights.DEFAULT"]
)
def test_names_are_those_of_torchvision(weights):
    assert list(imagenet_classes()) == get_weight(weights).meta["categories"]


def test_networks_that_come_with_the_add_on_need_no_torchvision_for_them():
    networks = [network for network in NETWORKS if network.classes == IMAGENET]
    assert networks == [network for network in NETWORKS if network.makes_graph]
    assert networks[0].load_class_names() == imagenet_classes()
