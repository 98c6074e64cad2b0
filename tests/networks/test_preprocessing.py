import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import get_weight

from orangecontrib.imageanalytics.networks.preprocessing import FITS, Preprocessing
from orangecontrib.imageanalytics.networks.registry import NETWORKS, find_network
from orangecontrib.imageanalytics.networks.torchvision_networks import (
    TorchvisionNetwork,
)

FROM_TORCHVISION = [n for n in NETWORKS if isinstance(n, TorchvisionNetwork)]


def photo(size=(640, 427)):
    from sklearn.datasets import load_sample_image

    return Image.fromarray(load_sample_image("china.jpg")).resize(size)


def normalised(preprocessing, square):
    return preprocessing.normalise(torch.from_numpy(square[None].copy()))[0]


@pytest.mark.parametrize("size", [(640, 427), (300, 501), (120, 90)])
@pytest.mark.parametrize("network", FROM_TORCHVISION, ids=lambda n: n.id)
def test_as_torchvision_does_it(network, size):
    preprocessing = network.preprocessing
    ours = normalised(preprocessing, preprocessing.square(photo(size)))
    transforms = get_weight(network.classes).transforms()
    assert preprocessing == Preprocessing.from_torchvision(transforms)
    theirs = transforms(photo(size))
    # One grey level of 255 is 0.017 after division by the deviation.
    assert (ours - theirs).abs().max() < 0.02
    assert (ours - theirs).abs().mean() < 0.005


def test_lite_is_centre_crop_on_the_scale_of_its_training():
    preprocessing = find_network("efficientnet-lite0").preprocessing
    image = photo((512, 256)).resize((512, 256))
    square = preprocessing.square(image)
    middle = np.asarray(image.crop((144, 16, 368, 240)))
    assert np.abs(square.astype(int) - middle).max() <= 1
    numbers = normalised(preprocessing, square)[None]
    assert numbers[0, 0, 0, 0] == pytest.approx((int(middle[0, 0, 0]) - 127) / 128)


def test_squeezenet_stretches_and_takes_blue_first():
    preprocessing = find_network("squeezenet").preprocessing
    image = Image.new("RGB", (400, 100), (200, 100, 50))
    numbers = normalised(preprocessing, preprocessing.square(image))[None]
    assert numbers.shape == (1, 3, 227, 227)
    assert numbers[0, :, 5, 5].tolist() == pytest.approx(
        [50 - 104.006, 100 - 116.669, 200 - 122.679]
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 20000), (20000, 1), (3, 5000)])
@pytest.mark.parametrize("fit", FITS)
def test_extreme_shapes(size, fit):
    preprocessing = Preprocessing(32, 40, (0,) * 3, (1,) * 3, "bicubic", fit=fit)
    square = preprocessing.square(Image.new("RGB", size, (10, 20, 30)))
    assert square.shape == (32, 32, 3)
    assert square.dtype == np.uint8
    assert square[15, 15].tolist() == [10, 20, 30]


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("size, margin", [((60, 30), 8), ((30, 60), 8), ((9, 9), 0)])
def test_padding_keeps_the_rim_and_is_zero_for_the_network(size, margin, channels):
    mean = (100, 110, 120) if channels == "RGB" else (120, 110, 100)
    preprocessing = Preprocessing(
        32, 40, mean, (50,) * 3, "bilinear", channels, fit="pad"
    )
    square = preprocessing.square(Image.new("RGB", size, (200, 210, 220)))
    numbers = normalised(preprocessing, square)
    inside = torch.full((32, 32), 2.0)
    if size[0] > size[1]:
        inside[:margin] = inside[32 - margin :] = 0
    elif margin:
        inside[:, :margin] = inside[:, 32 - margin :] = 0
    assert torch.equal(numbers, inside.expand(3, 32, 32))


def test_crop_of_a_network_that_stretches():
    stretched = find_network("squeezenet").preprocessing
    image = Image.new("RGB", (681, 227), (0, 0, 0))
    image.paste((255, 255, 255), (227, 0, 454, 227))
    assert stretched.fitted(None) is stretched
    assert stretched.square(image).mean() < 100
    assert stretched.fitted("crop").square(image).min() == 255


def test_long_images_are_cut_where_the_crop_looks():
    preprocessing = Preprocessing(32, 40, (0,) * 3, (1,) * 3, "bilinear")
    image = Image.new("RGB", (10, 1000))
    image.paste((255, 255, 255), (0, 495, 10, 505))
    square = preprocessing.square(image)
    assert square.min() == 255


def test_who_chooses_a_fit_sees_the_rim():
    trained = Preprocessing(32, 40, (0,) * 3, (1,) * 3, "bilinear")
    image = Image.new("RGB", (64, 64), (255, 255, 255))
    image.paste((0, 0, 0), (2, 2, 62, 62))
    assert trained.square(image).max() == 0
    assert trained.fitted("stretch").square(image)[0, 16, 0] > 200
    # A network that was trained on the middle of stretched images sees that.
    stretched = Preprocessing(32, 40, (0,) * 3, (1,) * 3, "bilinear", fit="stretch")
    assert stretched.square(image).max() == 0
    assert stretched.fitted("stretch") == stretched


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(300, 200), (200, 300), (64, 64), (4000, 30)])
def test_edges(fit, size):
    preprocessing = Preprocessing(64, 72, (127,) * 3, (128,) * 3, "bilinear").fitted(
        fit
    )
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    # A ramp tells where the pixels of the square come from.
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    square = preprocessing.square(Image.fromarray(pixels)) / 255
    left, top, right, bottom = preprocessing.edges(width, height)
    places = (np.arange(64) + 0.5) / 64
    x, y = left + (right - left) * places, top + (bottom - top) * places
    there = np.ix_((y > 0.05) & (y < 0.95), (x > 0.05) & (x < 0.95))
    assert square[there].size
    grid = np.broadcast_to(x, (64, 64)), np.broadcast_to(y[:, None], (64, 64))
    for channel, expected in enumerate(grid):
        np.testing.assert_allclose(
            square[..., channel][there], expected[there], atol=0.03
        )
