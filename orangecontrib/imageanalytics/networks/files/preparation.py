"""The description of a network, written by its owner.

It is in a file NAME.json or NAME.toml beside NAME.onnx, or in a dictionary with the
same keys::

    {"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}

For a file of weights::

    {"architecture": "torchvision:resnet18", "classes": ["cat", "dog"]}
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.preprocessing import FITS, Preprocessing

MAX_SIZE = 4096
MAX_BYTES = 10**6  # of a JSON or TOML file
# The time that it takes to read a key of TOML grows with the square of its dots.
MAX_DOTS = 5000
MIN_STD = 1e-6  # on the scale 0 to 1
MAX_CLASSES = 10**6
EXAMPLE = """\
{"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}"""
HELP = f"""\
It needs the keys size, mean and std, and may have channels, range, resize, \
interpolation, fit and classes; for example:
{EXAMPLE}"""
ARCHITECTURE = re.compile(r"(torchvision|timm):\w[\w.-]*", re.ASCII)
WEIGHTS_HELP = """\
It needs the keys architecture and classes (their names or their number); for example:
{"architecture": "torchvision:resnet18", "classes": ["cat", "dog"]}"""


@dataclass(frozen=True)
class Preparation:
    """The description beside the file of a network.

    Attributes
    ----------
    preprocessing : Preprocessing
    classes : tuple of str
        Names of the network's outputs; empty where they are not given.
    n_classes : int or None
        Number of the network's outputs, if it is given.
    """

    preprocessing: Preprocessing
    classes: tuple[str, ...] = ()
    n_classes: int | None = None


def read_preparation(path: str) -> dict | None:
    """The description in the JSON or TOML file beside a network.

    Parameters
    ----------
    path : str
        Path of the network.

    Returns
    -------
    dict or None
        Not checked; see `prepare`. None if there is no such file.

    Raises
    ------
    ModelError
        When both files exist, or one cannot be read.
    """
    files = find_preparation(path)
    if len(files) > 1:
        raise ModelError(
            f"There are both {files[0]} and {files[1]}, and only one can say how "
            "images are prepared: remove the other."
        )
    return parse(files[0]) if files else None


def find_preparation(path: str) -> list[str]:
    """Paths of the files beside a network that say how to prepare images."""
    stem = stem_of(path)
    return [stem + end for end in (".json", ".toml") if os.path.isfile(stem + end)]


def stem_of(path: str) -> str:
    """The path of a network without extension; folders have none."""
    return path if os.path.isdir(path) else os.path.splitext(path)[0]


def parse(file: str) -> dict:
    """Read the keys of a JSON or TOML file without checking them.

    Raises
    ------
    ModelError
        When it cannot be read, is very long, or holds no keys.
    """
    try:
        text = _read(file)
        values = json.loads(text) if file.endswith(".json") else _toml(text)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read: {error}") from error
    if not isinstance(values, Mapping):
        raise ModelError(f"{file} holds no keys. {HELP}")
    return dict(values)


def _read(file: str) -> str:
    with open(file, "rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES // 10**6} MB")
    # Windows editors put a mark before the text, which "sig" leaves out.
    return content.decode("utf-8-sig")


def _toml(text: str) -> dict:
    if text.count(".") > MAX_DOTS:
        raise ValueError(f"it has more than {MAX_DOTS} dots; write it as JSON instead")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def prepare(values: dict, where: str) -> Preparation:
    """Check the description of a network.

    Parameters
    ----------
    values : dict
        ``size`` in pixels, ``mean`` and ``std`` of three channels on the scale 0
        to 1, or to ``range``; optional: ``range`` (1 or 255), ``channels`` (RGB
        or BGR), ``resize`` in pixels, ``interpolation`` (bilinear or bicubic),
        ``fit`` (crop, stretch or pad) and ``classes``, a list of names or their
        number.
    where : str
        Name of the file or dialog, for messages.

    Raises
    ------
    ModelError
        When a key is missing or unknown, or a value makes no sense. The message
        names `where`, the key and the reason.
    """
    check_values(values, where)
    if missing := [key for key in REQUIRED if key not in values]:
        raise ModelError(f"{where} lacks {', '.join(missing)}. {HELP}")
    if reason := _find_contradiction(values):
        raise ModelError(f"{where}: {reason}")
    # Tables of weights are on the scale 0 to 1, Preprocessing on that of pixels.
    scale = 255 / values.get("range", 1)
    preprocessing = Preprocessing(
        size=values["size"],
        resize=values.get("resize"),
        mean=tuple(scale * value for value in values["mean"]),
        std=tuple(scale * value for value in values["std"]),
        **{
            key: values.get(key, default)
            for key, default in (
                ("interpolation", "bilinear"),
                ("channels", "RGB"),
                ("fit", "crop"),
            )
        },
    )
    classes = values.get("classes", ())
    if isinstance(classes, int):
        return Preparation(preprocessing, (), classes)
    return Preparation(preprocessing, tuple(classes), len(classes) or None)


def check_values(values: dict, where: str) -> None:
    """Check each value by itself; none is required.

    Parameters
    ----------
    values, where
        As for `prepare`.

    Raises
    ------
    ModelError
        When one is unknown or of the wrong type.
    """
    if not isinstance(values, Mapping):
        raise ModelError(f"{where} must be a dictionary, not {_show(values)}.")
    for key, value in values.items():
        if key not in KEYS:
            raise ModelError(f"{where} has the unknown key '{key}'. {HELP}")
        requirement, is_right = KEYS[key]
        if not is_right(value):
            raise ModelError(
                f"{where}: {key} must be {requirement}, not {_show(value)}."
            )


def complete(values: dict, defaults: dict) -> dict:
    """Complete a description with what an architecture expects.

    Parameters
    ----------
    values : dict
        Checked by `check_values`.
    defaults : dict
        Has the same keys; ``mean`` and ``std`` are for RGB on the scale 0 to 1.
    """
    defaults = dict(defaults)
    if "size" in values:  # then the images were scaled in another way, too
        defaults.pop("resize", None)
    for key in ("mean", "std"):
        scaled = [values.get("range", 1) * value for value in defaults[key]]
        defaults[key] = scaled[::-1] if values.get("channels") == "BGR" else scaled
    return defaults | values


def _find_contradiction(values) -> str:
    """The contradiction in values of the right types, in words; may be empty."""
    top = values.get("range", 1)
    for key in ("mean", "std"):
        value = values[key]
        if max(value) > top:
            hint = '; for 0 to 255 add "range": 255.' if top == 1 else "."
            return f"{key} {_show(list(value))} is not on the scale 0 to {top}{hint}"
        if top == 255 and (min(value) < 1 if key == "std" else 0 < max(value) <= 1):
            return (
                f"{key} {_show(list(value))} cannot be meant on the scale 0 to 255; "
                'without "range" the scale is 0 to 1.'
            )
    if values.get("resize", values["size"]) < values["size"]:
        return f"resize {values['resize']} is less than size {values['size']}."
    return ""


def _show(value) -> str:
    try:
        text = repr(value)
    except ValueError:  # of a whole number with thousands of digits
        text = "an enormous number"
    return text if len(text) <= 80 else text[:77] + "..."


def _is_number(value) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        return is_number and math.isfinite(value)
    except OverflowError:  # a whole number that is no float
        return False


def _are_channels(value) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and all(map(_is_number, value))
    )


def _is_length(value) -> bool:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return is_whole and 1 <= value <= MAX_SIZE


def are_names(value) -> bool:
    """Whether these are different names of printable characters."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(map(_is_name, value))
        and len(set(value)) == len(value)
    )


def _is_architecture(value) -> bool:
    return isinstance(value, str) and bool(ARCHITECTURE.fullmatch(value))


def _are_classes(value) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 <= value <= MAX_CLASSES
    return are_names(value)


def _is_name(value) -> bool:
    # Lone surrogates are not printable either.
    return isinstance(value, str) and value.isprintable() and bool(value.strip())


def _one_of(*choices) -> tuple[str, Callable[[object], bool]]:
    # By type too: True equals 1, and 255.0 equals 255.
    known = {(type(choice), choice) for choice in choices}
    text = " or ".join(map(str, choices))
    return (
        text,
        lambda value: isinstance(value, str | int) and ((type(value), value) in known),
    )


_PIXELS = (f"a whole number of pixels from 1 to {MAX_SIZE}", _is_length)
REQUIRED = ("size", "mean", "std")
KEYS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "size": _PIXELS,
    "mean": (
        "a list of three numbers, none negative",
        lambda value: _are_channels(value) and min(value) >= 0,
    ),
    "std": (
        f"a list of three numbers above 0 ({MIN_STD} or more)",
        lambda value: _are_channels(value) and min(value) >= MIN_STD,
    ),
    "range": _one_of(1, 255),
    "channels": _one_of("RGB", "BGR"),
    "resize": _PIXELS,
    "interpolation": _one_of("bilinear", "bicubic"),
    "fit": _one_of(*FITS),
    "classes": (
        f"a list of different names of printable characters, or a number from 0 to "
        f"{MAX_CLASSES:,}",
        _are_classes,
    ),
    "architecture": (
        '"torchvision:NAME" or "timm:NAME", with a name that the package has',
        _is_architecture,
    ),
}
