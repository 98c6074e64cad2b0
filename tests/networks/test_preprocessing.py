import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_weight

from orangecontrib.imageanalytics.networks.backbone import load_preprocessing
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network

FROM_TORCHVISION = [n for n in NETWORKS if isinstance(n.preprocessing, str)]


def photo(size=(640, 427)):
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("china.jpg")).resize(size)


@pytest.mark.parametrize("size", [(640, 427), (300, 501), (120, 90)])
@pytest.mark.parametrize("network", FROM_TORCHVISION, ids=lambda n: n.id)
def test_as_torchvision_does_it(network, size):
    preprocessing = load_preprocessing(network)
    ours = preprocessing.normalise(preprocessing.square(photo(size))[None])[0]
    theirs = get_weight(network.preprocessing).transforms()(photo(size))
    # One grey level of 255 is 0.017 after division by the deviation.
    assert (ours - theirs).abs().max() < 0.02
    assert (ours - theirs).abs().mean() < 0.005


def test_lite_is_centre_crop_on_the_scale_of_its_training():
    preprocessing = load_preprocessing(find_network("efficientnet-lite0"))
    image = photo((512, 256)).resize((512, 256))
    square = preprocessing.square(image)
    middle = np.asarray(image.crop((144, 16, 368, 240)))
    assert np.abs(square.permute(1, 2, 0).numpy().astype(int) - middle).max() <= 1
    numbers = preprocessing.normalise(square[None])
    assert numbers[0, 0, 0, 0] == pytest.approx((int(middle[0, 0, 0]) - 127) / 128)


def test_squeezenet_stretches_and_takes_blue_first():
    preprocessing = load_preprocessing(find_network("squeezenet"))
    image = Image.new("RGB", (400, 100), (200, 100, 50))
    numbers = preprocessing.normalise(preprocessing.square(image)[None])
    assert numbers.shape == (1, 3, 227, 227)
    assert numbers[0, :, 5, 5].tolist() == pytest.approx(
        [50 - 104.006, 100 - 116.669, 200 - 122.679]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (3, 5000)])
@pytest.mark.parametrize("resize", [None, 40])
def test_extreme_shapes(size, resize):
    preprocessing = Preprocessing(32, resize, (0,) * 3, (1,) * 3, "bicubic")
    square = preprocessing.square(Image.new("RGB", size, (10, 20, 30)))
    assert square.shape == (3, 32, 32)
    assert square.dtype == torch.uint8
    assert square[:, 16, 16].tolist() == [10, 20, 30]


def test_long_pictures_are_cut_where_the_crop_looks():
    preprocessing = Preprocessing(32, 40, (0,) * 3, (1,) * 3, "bilinear")
    image = Image.new("RGB", (10, 1000))
    image.paste((255, 255, 255), (0, 495, 10, 505))
    square = preprocessing.square(image)
    assert square.min() == 255
