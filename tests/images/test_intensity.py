import numpy as np
import pytest
from helpers import make_image
from Orange.data import StringVariable
from PIL import Image

from orangecontrib.imageanalytics.images.intensity import (
    ATTRIBUTE,
    AUTOMATIC,
    COLOURS,
    Values,
    apply_range,
    as_intensity,
    column_intensity,
    intensity_text,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "auto"),
        ("auto", "auto"),
        ("full", "full"),
        ("100:700", (100.0, 700.0)),
        ("-1000:400.5", (-1000.0, 400.5)),
        ((0, 1), (0.0, 1.0)),
        ([1e-9, 1e9], (1e-9, 1e9)),
        (np.array([0, 4095]), (0.0, 4095.0)),
    ],
)
def test_as_intensity(value, expected):
    found = as_intensity(value)
    assert found == expected
    assert as_intensity(intensity_text(found)) == expected


@pytest.mark.parametrize(
    "value",
    ["", "some", "1:2:3", ":", "a:b", 7, (1,), (2, 1), (1, 1), "nan:1", "0:inf"],
)
def test_what_is_no_intensity(value):
    with pytest.raises(ValueError, match="intensity"):
        as_intensity(value)


def test_intensity_of_a_column():
    variable = StringVariable("image")
    assert column_intensity(variable) == AUTOMATIC
    for text, expected in (("full", "full"), ("5:9", (5, 9)), ("nonsense", "auto")):
        variable.attributes[ATTRIBUTE] = text
        assert column_intensity(variable) == expected


def levels(values, intensity=AUTOMATIC, **kwargs):
    image = Values(np.atleast_2d(values), **kwargs).to_image(intensity)
    assert image.mode == "L"
    return np.asarray(image)[0].tolist()


def noise(low, high, dtype=np.uint16, n=4000):
    rng = np.random.default_rng(0)
    return rng.uniform(low, high, (1, n)).astype(dtype)


CASES = {
    "as in 8 bits": (np.uint8([3, 5, 9]), [3, 5, 9]),
    "12 bits": (np.uint16([0, 2048, 4095]), [0, 128, 255]),
    "nearly 12 bits": (np.uint16([100, 2048, 3900]), [6, 128, 243]),
    "10 bits": (np.uint16([0, 1023]), [0, 255]),
    "14 bits": (np.uint16([0, 16383]), [0, 255]),
    "all of 16 bits": (np.uint16([0, 257, 65535]), [0, 1, 255]),
    "dim": (np.uint16([100, 400, 700]), [0, 128, 255]),
    "far from zero": (np.uint16([40000, 40010, 40020]), [0, 128, 255]),
    "8 bits in 16": (np.uint16([0, 77, 255]), [0, 77, 255]),
    "one value": (np.uint16([4096, 4096]), [64, 64]),
    "black": (np.uint16([0, 0]), [0, 0]),
    "signed 8 bits": (np.int8([-128, 0, 127]), [0, 128, 255]),
    "signed, dim": (np.int8([-10, 0, 10]), [0, 128, 255]),
    "signed 16 bits": (np.int16([-1000, 0, 1000]), [0, 128, 255]),
    "signed, all positive": (np.int16([0, 2048, 4095]), [0, 128, 255]),
    "unsigned 32 bits": (np.uint32([0, 2**31, 2**32 - 1]), [0, 128, 255]),
    "labels of 64 bits": (np.uint64([0, 2**40, 2**41]), [0, 128, 255]),
    "signed 64 bits": (np.int64([-(2**62), 0, 2**62]), [0, 128, 255]),
    "fractions": (np.float32([0, 0.5, 1]), [0, 128, 255]),
    "half precision": (np.float16([0, 0.5, 1]), [0, 128, 255]),
    "floats as in 8 bits": (np.float64([0, 128, 255]), [0, 128, 255]),
    "small floats": (np.float64([1e-9, 2e-9, 3e-9]), [0, 128, 255]),
    "large floats": (np.float64([-1e308, 0, 1e308]), [0, 128, 255]),
    "nothing": (np.float32([np.nan, np.nan]), [0, 0]),
    "some of it": (np.float32([np.nan, 2, 4, np.inf, -np.inf]), [0, 0, 255, 0, 0]),
    "complex": (np.complex64([0, 0.5j, -1]), [0, 128, 255]),
    "truth": (np.array([True, False]), [255, 0]),
    "of another byte order": (np.array([0, 4095], ">u2"), [0, 255]),
}


@pytest.mark.parametrize("name", CASES)
def test_automatic(name):
    values, expected = CASES[name]
    assert levels(values) == expected


@pytest.mark.parametrize(
    ("dtype", "hot"), [(np.uint16, 65535), (np.int32, 2**31 - 1), (np.float32, 1e30)]
)
def test_one_hot_pixel(dtype, hot):
    values = noise(100, 700, dtype)
    expected = levels(values)
    values[0, 17] = hot
    found = levels(values)
    assert found[17] == 255
    assert np.abs(np.delete(np.subtract(found, expected), 17)).max() <= 1
    assert min(found) == 0
    assert 100 < np.mean(found) < 155


def test_rare_pixels_are_seen_where_there_is_nothing_else():
    values = np.zeros((1, 5000), np.uint16)
    values[0, 7] = 900
    assert levels(values)[6:9] == [0, 224, 0]  # of 0 to 1023, in common use


def test_a_large_image_is_sampled():
    values = np.tile(noise(100, 700, n=3000), (3000, 1))
    assert np.abs(np.subtract(levels(values), levels(values[:1]))).max() <= 2


def test_the_declared_range():
    values = np.uint16([0, 1000, 2000])
    assert levels(values, declared=[(0, 4000)]) == [0, 64, 128]
    assert levels(values, declared=[(500, 1500)]) == [0, 128, 255]
    # In these nothing would be seen.
    assert levels(values, declared=[(3000, 4000)]) == levels(values)
    assert levels(values, declared=[(-9, 0)]) == levels(values)
    # All white is not nothing.
    assert levels(np.uint16([4095, 4095]), declared=[(0, 4095)]) == [255, 255]


@pytest.mark.parametrize("n_values", [64, 100, 5000])
@pytest.mark.parametrize("hot", [60000, 0])
def test_one_hot_or_dead_pixel(hot, n_values):
    values = np.linspace(1000, 2000, n_values).astype(np.uint16)
    values[3] = hot
    found = levels(values)
    assert abs(found[n_values // 2] - 128) <= 4
    assert found[3] == (255 if hot else 0)


def test_full_range():
    assert levels(np.uint16([0, 257, 514]), "full") == [0, 1, 2]
    assert levels(np.uint16([0, 2048]), "full", full=(0, 4095)) == [0, 128]
    assert levels(np.int8([-128, 0]), "full") == [0, 128]
    assert levels(np.float32([2, 3, 6]), "full") == [0, 64, 255]


def test_given_range():
    values = np.uint16([100, 400, 700, 9000])
    assert levels(values, (100, 700)) == [0, 128, 255, 255]
    assert levels(values, (400, 1000), declared=[(0, 1)]) == [0, 0, 128, 255]
    assert levels(np.float32([-1, 0, 1]), (-2, 2)) == [64, 128, 191]


def test_what_has_no_value_is_black_and_does_not_count():
    values = np.float32([-9999, 1, 2, -9999])
    assert levels(values, missing=-9999) == [0, 0, 255, 0]
    assert levels(values, missing=-9999, inverted=True) == [0, 255, 0, 0]


def test_white_is_zero():
    assert levels(np.float32([0, 0.25, 1]), inverted=True) == [255, 191, 0]


def test_what_is_transparent_is_white_and_does_not_count():
    values, opacity = np.uint16([60000, 100, 700]), np.uint8([[0, 255, 255]])
    image = Values(values[None], opacity=opacity).to_image(AUTOMATIC)
    assert np.asarray(image)[0].tolist() == [[255, 0], [0, 255], [255, 255]]


def test_light():
    half = 0.2158605  # looks half as bright as white
    assert levels(np.float32([0, half, 1]), is_linear=True) == [0, 128, 255]
    # As in rooms with a lamp, and at night.
    lamp = np.append(np.full(500, 0.5), [1000.0]).astype(np.float32)
    assert levels(lamp, is_linear=True)[0] == 188
    night = np.float32([0, 0.01 * half, 0.01])
    assert levels(night, is_linear=True) == [0, 128, 255]


def colour_of(values, **kwargs):
    image = Values(np.array(values), **kwargs).to_image(AUTOMATIC)
    assert image.mode == "RGB"
    return [tuple(pixel) for pixel in np.asarray(image)[0].tolist()]


def test_colours_have_a_common_range():
    values = np.uint16([[[0, 100, 200], [1000, 900, 0]]])
    assert colour_of(values, is_colour=True) == [(0, 25, 50), (249, 224, 0)]


def test_channels_have_their_own_ranges_and_colours():
    values = np.uint16([[[0, 50000], [300, 50100], [300, 50000], [0, 50100]]])
    magenta, green, white, black = (255, 0, 255), (0, 255, 0), (255,) * 3, (0,) * 3
    assert colour_of(values) == [black, white, magenta, green]
    assert colour_of(values, colours=[(0, 0, 255), (255, 128, 0)]) == [
        black,
        (255, 128, 255),
        (0, 0, 255),
        (255, 128, 0),
    ]
    assert colour_of(values, declared=[(0, 600), (50000, 50100)])[2] == (128, 0, 128)


def test_more_channels_than_colours():
    assert len(COLOURS) == 7
    values = np.zeros((1, 9, 9), np.uint16)
    values[0, range(9), range(9)] = 1000
    found = colour_of(values, declared=[(0, 1000)])
    assert found == [*COLOURS, (0, 0, 0), (0, 0, 0)]


def test_eight_bits_stay_unless_ends_are_given():
    image = make_image(1)
    for intensity in ("auto", "full"):
        assert apply_range(image, intensity) is image
    stretched = np.asarray(apply_range(image, (100, 151)))
    before = np.asarray(image).astype(int)
    assert (stretched == np.clip((before - 100) * 5, 0, 255)).all()
    assert apply_range(Image.new("RGB", (1, 1), (99, 151, 110)), (100, 151)).getpixel(
        (0, 0)
    ) == (0, 255, 50)
