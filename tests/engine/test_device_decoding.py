from io import BytesIO

import imagecodecs
import numpy as np
import pytest
import torch
from helpers import FakeWorker, make_image
from image_files import encoded
from PIL import Image, ImageCms

from orangecontrib.imageanalytics.engine import batches, pipeline
from orangecontrib.imageanalytics.engine import device_decoding as module
from orangecontrib.imageanalytics.engine.device_decoding import (
    DeviceDecoder,
    find_decoder,
)
from orangecontrib.imageanalytics.engine.probing import LEAST_COSINE, least_cosine
from orangecontrib.imageanalytics.engine.torch_runner import TorchRunner
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.decode import decode
from orangecontrib.imageanalytics.networks.preprocessing import FITS, Preprocessing
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

CPU = torch.device("cpu")
SMALL = Preprocessing(32, 40, (100, 110, 120), (50,) * 3, "bilinear")


@pytest.fixture(autouse=True)
def no_stream(monkeypatch):
    """The CPU stands for a device."""
    with monkeypatch.context() as patch:
        patch.setattr(module, "find_worker", lambda device, _task: FakeWorker(device))
        patch.setattr(module, "_find_decoder", module._find_decoder.__wrapped__)
        patch.setattr(module, "_kinds", module._kinds.__wrapped__)
        yield patch


@pytest.fixture
def decoder():
    return DeviceDecoder(CPU, SMALL)


def photo(size, **options):
    return encoded(make_image(3, size), "JPEG", quality=95, **options)


def exif(orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def profile(wrong):
    """Of sRGB, or one with the primaries mixed up."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if wrong:
        red, blue = data.index(b"rXYZ"), data.index(b"bXYZ")
        data[red : red + 4], data[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(data)


def expected(content, preprocessing=SMALL):
    return preprocessing.square(decode(content)).astype(int)


def segment(marker, payload):
    return bytes([0xFF, marker]) + (len(payload) + 2).to_bytes(2, "big") + payload


# Which --------------------------------------------------------------------------------

TAKEN = {
    "baseline": photo((120, 90)),
    "progressive": photo((120, 90), progressive=True),
    "restarts": photo((120, 90), restart_marker_rows=1),
    "whole colours": photo((40, 30), subsampling=0),
    "colours halved across": photo((120, 90), subsampling=1),
    "grey": encoded(make_image(1).convert("L"), "JPEG"),
    "turned": photo((120, 90), exif=exif(6)),
    "sRGB": photo((120, 90), icc_profile=profile(False)),
}
OTHER_COLOURS = photo((120, 90), subsampling=0, icc_profile=profile(True))
CMYK = encoded(make_image(1, (120, 90)).convert("CMYK"), "JPEG")
RGB = encoded(make_image(1, (120, 90)), "JPEG", keep_rgb=True)
TWELVE_BITS = imagecodecs.jpeg_encode(
    np.zeros((90, 120), np.uint16), level=99, bitspersample=12
)
SECOND = BytesIO()
make_image(1, (120, 90)).save(
    SECOND, "MPO", save_all=True, append_images=[make_image(2, (120, 90))]
)
LEFT = {
    "empty": b"",
    "no image": b"no image",
    "PNG": encoded(make_image(1), "PNG"),
    "CMYK": CMYK,
    "RGB": RGB,
    "12 bits": TWELVE_BITS,
    "lossless": imagecodecs.ljpeg_encode(np.zeros((90, 120), np.uint8)),
    "profile": OTHER_COLOURS,
    "truncated": TAKEN["baseline"][:-400],
    "without the last mark": TAKEN["baseline"][:-2],
    "header alone": b"\xff\xd8\xff\xd9",
    "damaged header": b"\xff\xd8\xff\xe0" + b"\0" * 40 + b"\xff\xd9",
    "several images": SECOND.getvalue(),
    "something after the end": TAKEN["baseline"] + b"SEFT",
    "long": photo((2000, 90), subsampling=0),
    # Devices do not smooth colours as Pillow does.
    "small with halved colours": photo((70, 70)),
    "odd sampling": photo((120, 90)).replace(b"\x01\x22\0", b"\x01\x41\0"),
    "Adobe's RGB": TAKEN["whole colours"][:2]
    + segment(0xEE, b"Adobe\0\x64\0\0\0\0\0")
    + TAKEN["whole colours"][2:],
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_device_decodes(decoder, name):
    content = TAKEN[name]
    jpeg = decoder.open(content)
    assert jpeg.content == content
    (square,) = decoder([jpeg])
    assert square.dtype == np.uint8
    difference = np.abs(square - expected(content))
    assert difference.max() <= 2
    assert difference.mean() <= 0.5


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_cpu(decoder, name):
    assert decoder.open(LEFT[name]) is None


def test_large_images_are_left_to_the_cpu(decoder, monkeypatch):
    assert decoder.open(photo((400, 300))) is not None
    monkeypatch.setattr(module, "MOST_PIXELS", 100_000)
    assert decoder.open(photo((400, 300))) is None


# Squares ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(decoder, orientation):
    content = photo((120, 90), exif=exif(orientation))
    (square,) = decoder([decoder.open(content)])
    assert np.abs(square - expected(content)).max() <= 2


@pytest.mark.parametrize("size", [(640, 427), (300, 501), (120, 90), (33, 31)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("fit", FITS)
def test_geometry(size, interpolation, fit):
    from sklearn.datasets import load_sample_image

    channels = "RGB" if fit == "crop" else "BGR"
    preprocessing = Preprocessing(
        64, 73, (100, 110, 120), (50,) * 3, interpolation, channels
    ).fitted(fit)
    image = Image.fromarray(load_sample_image("china.jpg")).resize(size)
    content = encoded(image, "JPEG", subsampling=0, quality=90)
    decoder = DeviceDecoder(CPU, preprocessing)
    (square,) = decoder([decoder.open(content)])
    difference = np.abs(square - expected(content, preprocessing))
    assert difference.max() <= 2
    assert difference.mean() <= 0.5


def test_vectors_of_photos_that_the_cpu_decodes_at_reduced_size(tmp_path, no_stream):
    from sklearn.datasets import load_sample_images

    paths = []
    for index, image in enumerate(load_sample_images().images):
        paths.append(str(tmp_path / f"{index}.jpg"))
        Image.fromarray(image).resize((1600, 1068)).save(paths[-1], quality=92)
    with ImageEmbedder(
        "efficientnet-lite0", "cpu", cache=False, engine="torch"
    ) as embedder:
        by_cpu = np.stack(embedder(paths))
        preprocessing = EmbeddingSpec.choose("efficientnet-lite0").preprocessing
        use(no_stream, DeviceDecoder(CPU, preprocessing))
        by_device = np.stack(embedder(paths))
    assert not np.array_equal(by_cpu, by_device)
    assert least_cosine(by_device, by_cpu) >= LEAST_COSINE


# What fails ---------------------------------------------------------------------------


def failing_for(bad, sizes):
    def decode_all(contents, device, decode_right=module._decode):
        sizes.append(len(contents))
        if bad in contents:
            raise RuntimeError("Error while decoding JPEG images")
        return decode_right(contents, device)

    return decode_all


def test_one_that_fails_does_not_take_others_along(decoder, monkeypatch):
    contents = [photo((100 + n, 90)) for n in range(4)]
    sizes = []
    monkeypatch.setattr(module, "_decode", failing_for(contents[1], sizes))
    squares = decoder([decoder.open(content) for content in contents])
    assert [square is None for square in squares] == [False, True, False, False]
    assert sizes == [4, 1, 1, 1, 1]


def test_many_are_decoded_in_groups(decoder, monkeypatch):
    monkeypatch.setattr(module, "MOST_PIXELS_AT_ONCE", 25_000)
    contents = [photo((100, 90))] * 5 + [photo((300, 200))]
    sizes = []
    monkeypatch.setattr(module, "_decode", failing_for(None, sizes))
    squares = decoder([decoder.open(content) for content in contents])
    assert sizes == [2, 2, 1, 1]
    assert all(square.shape == (32, 32, 3) for square in squares)


def test_a_image_of_another_size_than_announced(decoder, monkeypatch):
    wrong = torch.zeros(3, 8, 8, dtype=torch.uint8)
    monkeypatch.setattr(module, "_decode", lambda contents, device: [wrong])
    assert decoder([decoder.open(photo((120, 90)))]) == [None]


def test_a_device_that_decodes_right():
    assert isinstance(find_decoder(CPU, SMALL), DeviceDecoder)


def lacking(contents, device):
    raise RuntimeError("torchvision not compiled with nvJPEG support\nmore")


def wrong(contents, device, decode_right=module._decode):
    return [255 - image for image in decode_right(contents, device)]


@pytest.mark.parametrize(
    "decode_all, text", [(lacking, "cpu does not: torchvision"), (wrong, "it wrong: 1")]
)
def test_a_device_that_does_not_decode(monkeypatch, caplog, decode_all, text):
    monkeypatch.setattr(module, "_decode", decode_all)
    with caplog.at_level("INFO"):
        assert find_decoder(CPU, SMALL) is None
    assert text in caplog.text
    assert "\n" not in caplog.messages[0]


def test_kinds_that_a_device_does_not_decode_are_left_to_the_cpu(monkeypatch):
    decode_right = module._decode

    def decode_all(contents, device):
        grey = Image.open(BytesIO(contents[0])).mode == "L"
        return (wrong if grey else decode_right)(contents, device)

    monkeypatch.setattr(module, "_decode", decode_all)
    decoder = find_decoder(CPU, SMALL)
    assert decoder.open(TAKEN["grey"]) is None
    assert decoder.open(TAKEN["progressive"]) is not None


# In a run -----------------------------------------------------------------------------


def use(patch, decoder):
    """Let it decode for a runner of the CPU."""
    patch.setattr(TorchRunner, "decoder", decoder)


@pytest.mark.parametrize("gathered_bytes", [0, 1 << 25])
def test_a_run_with_images_of_all_kinds(
    tmp_path, fresh_cache, no_stream, gathered_bytes
):
    no_stream.setattr(batches, "GATHERED_BYTES", gathered_bytes)
    contents = TAKEN | LEFT | {"twin": TAKEN["baseline"], "bad": photo((640, 480))}
    paths = []
    for name, content in contents.items():
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(content)
        paths.append(str(path))
    options = {"model": "squeezenet", "device": "cpu", "engine": "torch"}
    with ImageEmbedder(**options, cache=False) as embedder:
        expected, reasons = embedder(paths), embedder.failures
    decoder = DeviceDecoder(CPU, EmbeddingSpec.choose("squeezenet").preprocessing)
    use(no_stream, decoder)
    sizes = []
    no_stream.setattr(module, "_decode", failing_for(contents["bad"], sizes))
    no_stream.setattr(pipeline, "workers", lambda: 1)
    with ImageEmbedder(**options, batch_size=50) as embedder:
        vectors = embedder(paths)
        assert (max(sizes) > 1) == (gathered_bytes > 0)
        assert embedder.failures == reasons
        del sizes[:]
        again = embedder(paths)
    assert not sizes
    for name, right, found, cached in zip(
        contents, expected, vectors, again, strict=True
    ):
        assert (found is None) == (right is None), name
        if right is not None:
            assert least_cosine(found[None], right[None]) >= LEAST_COSINE, name
            assert np.array_equal(found, cached)
    names = list(contents)
    assert np.array_equal(
        vectors[names.index("twin")], vectors[names.index("baseline")]
    )
    # Decoded by the CPU; batches of other sizes are rounded differently.
    np.testing.assert_allclose(vectors[-1], expected[-1], rtol=1e-3, atol=1e-4)


# On a GPU -----------------------------------------------------------------------------

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


@pytest.fixture
def gpu_decoder(no_stream):
    no_stream.undo()
    preprocessing = EmbeddingSpec.choose("efficientnet-lite0").preprocessing
    decoder = find_decoder(torch.device("cuda"), preprocessing)
    if decoder is None:
        pytest.skip("no JPEG decoder on the GPU")
    return decoder


def photos_of_cameras():
    from sklearn.datasets import load_sample_images

    for image in load_sample_images().images:
        for options in ({"subsampling": 0}, {}, {"progressive": True}):
            for orientation in (1, 6):
                large = Image.fromarray(image).resize((1600, 1068))
                options = options | {"quality": 92, "exif": exif(orientation)}
                yield encoded(large, "JPEG", **options)


@on_gpu
def test_squares_of_a_gpu(gpu_decoder):
    contents = list(photos_of_cameras())
    squares = gpu_decoder([gpu_decoder.open(content) for content in contents])
    for content, square in zip(contents, squares, strict=True):
        right = expected(content, gpu_decoder.preprocessing)
        assert np.abs(square - right).mean() <= 1


@on_gpu
def test_vectors_of_images_that_a_gpu_decodes(gpu_decoder, tmp_path):
    paths = []
    for index, content in enumerate([*photos_of_cameras(), CMYK]):
        path = tmp_path / f"{index}.jpg"
        path.write_bytes(content)
        paths.append(str(path))
    with ImageEmbedder("efficientnet-lite0", "cpu", cache=False) as embedder:
        by_cpu = np.stack(embedder(paths))
    with ImageEmbedder("efficientnet-lite0", "cuda", cache=False) as embedder:
        by_gpu = np.stack(embedder(paths))
    assert least_cosine(by_gpu, by_cpu) >= 0.998  # two steps of 0.999 each
