"""DICOM compressions that pydicom does not decode itself, with imagecodecs.

The names are those that pydicom looks for in a plugin.
"""

from __future__ import annotations

import numpy as np
from pydicom import uid

_LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_JPEG_2000 = (
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
DECODER_DEPENDENCIES = dict.fromkeys(
    (uid.JPEGExtended12Bit, *_LOSSLESS, *_JPEG_LS, *_JPEG_2000), ("imagecodecs",)
)


def is_available(syntax: str) -> bool:
    """Whether frames with a transfer syntax can be decoded."""
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        return False
    return syntax in DECODER_DEPENDENCIES


def decode_frame(content: bytes, runner) -> bytes:
    """
    The numbers of a frame.

    Parameters
    ----------
    content : bytes
        The frame, compressed.
    runner : pydicom.pixels.decoders.base.DecodeRunner
        Knows what the file says of them, and is told what differs.
    """
    import imagecodecs

    syntax = runner.transfer_syntax
    if syntax in _LOSSLESS:
        array = imagecodecs.ljpeg_decode(content)
    elif syntax in _JPEG_LS:
        array = imagecodecs.jpegls_decode(content)
    elif syntax in _JPEG_2000:
        array = imagecodecs.jpeg2k_decode(content)
        if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
            runner.set_option("photometric_interpretation", "RGB")
    else:
        array = imagecodecs.jpeg_decode(content)
        if runner.samples_per_pixel == 3:
            runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("bits_allocated", 8 * array.dtype.itemsize)
    if array.ndim == 3:
        runner.set_option("planar_configuration", 0)
    return np.ascontiguousarray(array).astype(runner.pixel_dtype, copy=False).tobytes()
