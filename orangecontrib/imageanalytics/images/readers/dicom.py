"""DICOM: medical images, with the units, window and colours that the file names."""

from __future__ import annotations

from contextlib import suppress
from typing import BinaryIO

import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.pixels import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
    get_decoder,
    pixel_array,
)

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.formats import Format
from orangecontrib.imageanalytics.images.intensity import Range, Values
from orangecontrib.imageanalytics.images.lazy_image import (
    LazyImage,
    OtherFormat,
    Size,
    check_page,
    check_size,
    middle,
    numbered,
)
from orangecontrib.imageanalytics.images.readers import dicom_codecs

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_PREAMBLE_BYTES = 128

for _syntax in dicom_codecs.DECODER_DEPENDENCIES:
    get_decoder(_syntax).add_plugin(
        "imagecodecs", (dicom_codecs.__name__, "decode_frame")
    )


def open(file: BinaryIO, format: Format) -> DicomImage:
    """Open a DICOM file."""
    start = file.read(_PREAMBLE_BYTES + 4)
    file.seek(0)
    has_preamble = start.endswith(b"DICM")
    try:
        data = pydicom.dcmread(file, force=True, stop_before_pixels=True)
        is_image = "Rows" in data and "Columns" in data
    except Exception:
        if has_preamble:
            raise
        is_image = False
    if not is_image and not has_preamble:
        raise OtherFormat
    if not is_image:
        raise ImageError("DICOM without an image")
    return DicomImage(file, data)


class DicomImage(LazyImage):
    """
    An image, or the frames of a film or a volume.

    Parameters
    ----------
    file : binary file object
    data : pydicom.Dataset
        Its header.
    """

    def __init__(self, file: BinaryIO, data: pydicom.Dataset):
        super().__init__("DICOM", (int(data.Columns), int(data.Rows)), is_plain=False)
        check_size(*self.size, self.format)
        self._file = file
        self._n_frames = int(data.get("NumberOfFrames") or 1)
        self.has_more = self._n_frames > 1

    def page_names(self) -> list[str]:
        """As `LazyImage.page_names`."""
        return numbered("frame", self._n_frames)

    def read(self, at_least: Size | None, page: int | None) -> Image.Image | Values:
        """As `LazyImage.read`."""
        check_page(page or 1, self._n_frames)
        (index,) = middle((self._n_frames,)) if page is None else (page - 1,)
        self._file.seek(0)
        data = pydicom.dcmread(self._file, force=True)
        if not any(keyword in data for keyword in _PIXELS):
            raise ImageError("DICOM without an image")
        _know_syntax(data)
        array = _pixels(data, index)
        if data.get("PhotometricInterpretation") == "PALETTE COLOR":
            array = apply_color_lut(array, data)
            return _colours(array, 8 * array.dtype.itemsize)
        if array.ndim == 3:
            return _colours(array, int(data.BitsStored))
        return _greys(array, data, index)


def _know_syntax(data: pydicom.Dataset) -> None:
    """Set the transfer syntax of files without a preamble, which do not name it."""
    if "TransferSyntaxUID" in data.file_meta:
        return
    is_implicit, is_little = data.original_encoding
    if is_implicit:
        syntax = uid.ImplicitVRLittleEndian
    else:
        syntax = uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian
    data.file_meta.TransferSyntaxUID = syntax


def _pixels(data: pydicom.Dataset, index: int) -> np.ndarray:
    try:
        return pixel_array(data, index=index)
    except RuntimeError as error:
        # Each of the decoders has failed, or there is none.
        if "missing dependencies" in str(error):
            raise NotImplementedError(str(error)) from error
        raise


def _colours(array: np.ndarray, bits: int) -> Image.Image | Values:
    if array.dtype == np.uint8 and bits == 8:
        return Image.fromarray(np.ascontiguousarray(array[..., :3]))
    whole = 0, 2**bits - 1
    return Values(array[..., :3], is_colour=True, declared=(whole,), full=whole)


def _greys(stored: np.ndarray, data: pydicom.Dataset, index: int) -> Values:
    values = _in_units(stored, data, index)
    window = _window(data, index)
    if window is None and "VOILUTSequence" in data:
        values, window = _looked_up(values, data)
    whole = _whole(data, index)
    if window is None and data.get("BitsStored", 8) < 8:  # of bytes, it is known
        window = whole
    padding = data.get("PixelPaddingValue")
    missing = None
    if isinstance(padding, int):
        missing = float(_in_units(np.array([padding]), data, index)[0])
    return Values(
        values,
        declared=(window,),
        full=whole,
        inverted=data.get("PhotometricInterpretation") == "MONOCHROME1"
        or data.get("PresentationLUTShape") == "INVERSE",
        missing=missing,
    )


def _of_frame(data: pydicom.Dataset, index: int, group: str) -> pydicom.Dataset:
    """The description of a frame: in its own group, that of all frames, or the file."""
    absent = AttributeError, IndexError, KeyError
    with suppress(*absent):
        return data.PerFrameFunctionalGroupsSequence[index][group][0]
    with suppress(*absent):
        return data.SharedFunctionalGroupsSequence[0][group][0]
    return data


def _in_units(stored: np.ndarray, data: pydicom.Dataset, index: int) -> np.ndarray:
    """Convert numbers to units, such as Hounsfield units."""
    group = _of_frame(data, index, "PixelValueTransformationSequence")
    return apply_modality_lut(stored, group)


def _window(data: pydicom.Dataset, index: int) -> Range | None:
    group = _of_frame(data, index, "FrameVOILUTSequence")
    try:
        center, width = (
            float(_first(group[keyword].value))
            for keyword in ("WindowCenter", "WindowWidth")
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None
    if not width >= 1:
        return None
    # As PS3.3, C.11.2.1.2 has it; a width of 1 is a threshold.
    half = max(width - 1, 0.5) / 2
    return center - 0.5 - half, center - 0.5 + half


def _first(value):
    return value[0] if isinstance(value, list | pydicom.multival.MultiValue) else value


def _looked_up(values: np.ndarray, data) -> tuple[np.ndarray, Range | None]:
    *_, bits = data.VOILUTSequence[0].LUTDescriptor
    return apply_voi_lut(values.astype(np.int64), data), (0, 2 ** int(bits) - 1)


def _whole(data: pydicom.Dataset, index: int) -> Range | None:
    bits = data.get("BitsStored")
    if bits is None or "FloatPixelData" in data or "DoubleFloatPixelData" in data:
        return None
    least = -(2 ** (bits - 1)) if data.get("PixelRepresentation") else 0
    ends = np.array([least, least + 2**bits - 1])
    low, high = sorted(float(end) for end in _in_units(ends, data, index))
    return low, high
