from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from image_files import blotches, grey_row, header_reason, pixels, reason
from pydicom import uid
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    decode,
    read_header,
    read_pages,
)

COLOURS = np.asarray(blotches())
GREYS = np.asarray(blotches().convert("L"))


def dicom(array, syntax=uid.ExplicitVRLittleEndian, frames=None, **elements):
    """A file; `frames` are compressed ones."""
    array = np.asarray(array)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    meta.TransferSyntaxUID = syntax
    data = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    is_colour = array.ndim >= 3 and array.shape[-1] == 3
    shape = array.shape[:-1] if is_colour else array.shape
    if len(shape) == 3:
        data.NumberOfFrames = shape[0]
    data.SOPClassUID = meta.MediaStorageSOPClassUID
    data.Rows, data.Columns = shape[-2:]
    data.SamplesPerPixel = 3 if is_colour else 1
    data.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8 * array.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    if is_colour:
        data.PlanarConfiguration = 0
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    data.PixelData = array.astype(array.dtype.newbyteorder(order)).tobytes()
    if frames is not None:
        data.PixelData = encapsulate(frames)
    is_bytes = frames is not None or array.dtype.itemsize == 1
    data["PixelData"].VR = "OB" if is_bytes else "OW"
    file = BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "syntax",
    [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian],
)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_types(dtype, syntax):
    values = GREYS.astype("i4") * (1 if dtype == "u1" else 16)
    values -= 2000 if dtype == "i2" else 0
    content = dicom(values.astype(dtype), syntax)
    assert np.abs(pixels(content)[..., 0].astype(int) - GREYS).max() <= 2 or (
        np.corrcoef(pixels(content)[..., 0].ravel(), GREYS.ravel())[0, 1] > 0.999
    )
    assert content_header(content) == Header("DICOM", 64, 48, is_plain=False)


def test_window():
    values = np.uint16([[0, 1000, 1500, 2000, 4000]])
    content = dicom(values, WindowCenter="1500", WindowWidth="1001")
    assert grey_row(content) == [0, 0, 128, 255, 255]
    several = dicom(values, WindowCenter=["1500", "9"], WindowWidth=["1001", "1"])
    assert grey_row(several) == grey_row(content)
    assert grey_row(content, intensity=(0, 4000)) == [0, 64, 96, 128, 255]
    threshold = dicom(values, WindowCenter="1500", WindowWidth="1")
    assert grey_row(threshold) == [0, 0, 255, 255, 255]
    for nonsense in ({"WindowWidth": "0"}, {"WindowWidth": "-9"}, {"WindowWidth": ""}):
        content = dicom(values, WindowCenter="1500", **nonsense)
        assert grey_row(content) == grey_row(dicom(values))


def test_window_in_units():
    stored = np.int16([[0, 1024, 1064, 2000]])
    content = dicom(
        stored,
        RescaleIntercept="-1024",
        RescaleSlope="1",
        WindowCenter="40",
        WindowWidth="81",
    )
    assert grey_row(content) == [0, 2, 129, 255]
    assert grey_row(content, intensity=(0, 80)) == [0, 0, 128, 255]


def test_full_range():
    stored = np.uint16([[0, 2048, 4095]])
    content = dicom(stored, BitsStored=12, HighBit=11, RescaleSlope="2")
    assert grey_row(content, intensity="full") == [0, 128, 255]


def test_fewer_bits_than_a_byte():
    values = np.uint8([[0, 5, 10, 15]])
    content = dicom(values, BitsStored=4, HighBit=3)
    assert grey_row(content) == [0, 85, 170, 255]
    colours = np.stack([values] * 3, axis=-1)
    assert grey_row(dicom(colours, BitsStored=4, HighBit=3)) == [0, 85, 170, 255]


def test_inverse_presentation():
    content = dicom(np.uint8([[0, 100]]), PresentationLUTShape="INVERSE")
    assert grey_row(content) == [255, 155]
    # It says the same as the photometric interpretation.
    content = dicom(
        np.uint8([[0, 100]]),
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
    )
    assert grey_row(content) == [255, 155]


def test_lut():
    table = Dataset()
    table.LUTDescriptor = [3, 0, 16]
    table.LUTData = np.uint16([0, 65535, 32768]).tobytes()
    table["LUTDescriptor"].VR = "US"
    table["LUTData"].VR = "OW"
    content = dicom(np.uint16([[0, 1, 2]]), VOILUTSequence=Sequence([table]))
    assert grey_row(content) == [0, 255, 128]


def test_white_is_zero_and_padding():
    values = np.uint16([[0, 1000, 4095, 5000]])
    content = dicom(
        values, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=5000
    )
    assert grey_row(content) == [255, 193, 0, 0]


def test_colours():
    assert (pixels(dicom(COLOURS)) == COLOURS).all()
    planar = dicom(np.moveaxis(COLOURS, -1, 0).reshape(COLOURS.shape))
    data = pydicom.dcmread(BytesIO(planar))
    data.PlanarConfiguration = 1
    file = BytesIO()
    data.save_as(file)
    assert (pixels(file.getvalue()) == COLOURS).all()
    deep = dicom(COLOURS.astype(np.uint16) * 257)
    assert (pixels(deep) == COLOURS).all()
    red = np.uint8([[[76, 85, 255]]])
    video = dicom(red, PhotometricInterpretation="YBR_FULL")
    assert np.abs(pixels(video)[0, 0].astype(int) - [255, 0, 0]).max() <= 2


def test_palette():
    elements = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, table in {
        "Red": [0, 65535],
        "Green": [0, 0],
        "Blue": [65535, 0],
    }.items():
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [2, 0, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = np.uint16(table).tobytes()
    found = pixels(dicom(np.uint8([[0, 1]]), **elements))
    assert found.tolist() == [[[0, 0, 255], [255, 0, 0]]]


COMPRESSED = {
    "JPEG": (uid.JPEGBaseline8Bit, lambda a: imagecodecs.jpeg_encode(a, level=99)),
    "JPEG, lossless": (uid.JPEGLosslessSV1, imagecodecs.ljpeg_encode),
    "JPEG-LS": (uid.JPEGLSLossless, imagecodecs.jpegls_encode),
    "JPEG 2000": (
        uid.JPEG2000Lossless,
        lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True),
    ),
}


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("kind", ["u1", "u2", "colour"])
def test_compressions(name, kind):
    syntax, encode = COMPRESSED[name]
    if name == "JPEG" and kind == "u2":
        pytest.skip("it has 8 bits alone")
    if name == "JPEG, lossless" and kind == "colour":
        pytest.skip("this encoder does not write it")
    array = COLOURS if kind == "colour" else GREYS.astype(kind)
    if kind == "u2":
        array = array * np.uint16(257)
    elements = {}
    if name == "JPEG" and kind == "colour":
        elements["PhotometricInterpretation"] = "YBR_FULL_422"
    content = dicom(array, syntax, [encode(array)], **elements)
    expected = COLOURS if kind == "colour" else GREYS[..., None]
    limit = 8 if name == "JPEG" else 1
    assert np.abs(pixels(content).astype(int) - expected).max() <= limit


@pytest.fixture
def film():
    return np.random.default_rng(0).integers(0, 4096, (5, 8, 9)).astype("u2")


def test_frames(film, tmp_path):
    content = dicom(film)
    assert content_header(content).has_more
    assert (pixels(content) == pixels(dicom(film[2]))).all()
    for number in range(1, 6):
        expected = pixels(dicom(film[number - 1]))
        assert (pixels(content, page=number) == expected).all()
    path = tmp_path / "film.dcm"
    path.write_bytes(content)
    assert read_pages(str(path)) == [(f"frame {n}", 9, 8) for n in range(1, 6)]
    assert reason(content, page=6) == "there is no page 6, the last is 5"


def test_window_of_each_frame(film):
    def group(center, slope):
        window, units, frame = Dataset(), Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = center, "1001"
        units.RescaleIntercept, units.RescaleSlope = "0", slope
        frame.FrameVOILUTSequence = Sequence([window])
        frame.PixelValueTransformationSequence = Sequence([units])
        return frame

    groups = [group(center, "2") for center in ("500", "1500", "9", "9", "9")]
    film[:] = np.uint16([0, 250, 500, 750, 1000, 0, 0, 0, 0])
    content = dicom(film, PerFrameFunctionalGroupsSequence=Sequence(groups))
    assert grey_row(content, page=1)[:3] == [0, 128, 255]
    assert grey_row(content, page=2)[:5] == [0, 0, 0, 128, 255]
    shared = dicom(film, SharedFunctionalGroupsSequence=Sequence(groups[:1]))
    assert grey_row(shared, page=2)[:3] == [0, 128, 255]


def test_with_the_start_of_a_tiff():
    content = dicom(COLOURS)
    dual = b"II*\0" + bytes(124) + content[128:]
    assert (pixels(dual) == COLOURS).all()
    assert content_header(dual).format == "DICOM"


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian]
)
def test_without_preamble(syntax, tmp_path):
    content = dicom(COLOURS, syntax)
    data = pydicom.dcmread(BytesIO(content))
    file = BytesIO()
    data.remove_private_tags()
    del data.file_meta
    data.preamble = None
    pydicom.dcmwrite(file, data, implicit_vr=syntax == uid.ImplicitVRLittleEndian,
                     little_endian=True, enforce_file_format=False)  # fmt: skip
    bare = file.getvalue()
    assert b"DICM" not in bare[:200]
    assert (pixels(bare) == COLOURS).all()
    (tmp_path / "a.dcm").write_bytes(bare)
    (tmp_path / "a.bin").write_bytes(bare)
    assert read_header(str(tmp_path / "a.dcm")).format == "DICOM"
    assert header_reason(tmp_path / "a.bin") == "not an image"


def test_no_image():
    report = pydicom.dcmread(BytesIO(dicom(GREYS)))
    del report.PixelData, report.Rows
    file = BytesIO()
    report.save_as(file)
    assert reason(file.getvalue()) == "DICOM without an image"
    assert reason(b"\x08\0\5\0" + bytes(300)) == "not an image"


def test_damaged():
    content = dicom(GREYS)
    assert reason(content[:-2000]) in ("the file is cut short", "damaged DICOM data")
    syntax, _ = COMPRESSED["JPEG-LS"]
    broken = dicom(GREYS, syntax, [b"nonsense" * 9])
    assert reason(broken) == "damaged DICOM data"
    film = dicom(GREYS, uid.MPEG2MPML, [b"video" * 9])
    assert reason(film) == "DICOM of a kind that is not read"
    assert decode(content).size == (64, 48)
