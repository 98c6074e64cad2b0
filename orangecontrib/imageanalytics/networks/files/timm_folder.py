"""Folders as timm writes them for the Hugging Face hub.

They hold ``config.json``, which names the architecture, and the weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks import timm_networks
from orangecontrib.imageanalytics.networks.files import known_architecture
from orangecontrib.imageanalytics.networks.files.file_weights import FileWeights
from orangecontrib.imageanalytics.networks.files.kinds import CONFIG_FILE
from orangecontrib.imageanalytics.networks.files.preparation import (
    are_names,
    check_values,
    parse,
)

# The keys about images. Others are ignored, such as where timm would find weights.
CONFIG_KEYS = (
    "input_size",
    "interpolation",
    "crop_pct",
    "crop_mode",
    "mean",
    "std",
    "test_input_size",
    "test_crop_pct",
)
# Arguments that are no part of the architecture; some make timm open files.
REFUSED = (
    "pretrained",
    "checkpoint",
    "cache_dir",
    "features_only",
    "feature_",
    "out_indices",
    "device",
    "dtype",
    "kwargs",
    "model_name",
)
MOST = 10**5  # of a number among them


def find(path: str, folder: str, given, values: dict, where: str):
    """Find the network in a folder.

    Parameters
    ----------
    path : str
        Path of the folder, possibly on another computer.
    folder : str
        Path of the folder on this computer.
    given : Preprocessing or None
        Replaces what ``config.json`` says about images.
    values : dict
        A separate description, which takes precedence; see `preparation`.
    where : str
        Place of that description, for messages.

    Raises
    ------
    ModelError
        When the folder holds no network of timm, or a part of ``config.json`` is
        missing or wrong.
    """
    file = os.path.join(folder, CONFIG_FILE)
    config = parse(file)
    check_values(values, where)
    details = config.get("pretrained_cfg", config)
    if not isinstance(config.get("architecture"), str) or not isinstance(
        details, Mapping
    ):
        raise ModelError(
            f"{file} names no architecture of timm. Only folders that timm has written "
            "can be used; save other networks as ONNX."
        )
    named = {"architecture": timm_networks.PREFIX + config["architecture"]}
    classes = _find_classes(config, details, file)
    check_values(named | {"classes": classes}, file)
    arguments = _read_arguments(config.get("model_args", {}), file)
    return known_architecture.find_timm(
        FileWeights(path),
        {"classes": classes} | values | named,
        given,
        where or file,
        _about_images(details, dict(arguments).get("img_size")),
        arguments,
    )


def _about_images(details: Mapping, size) -> dict:
    """What is known about images; older versions of timm do not update `details`."""
    known = {key: details[key] for key in CONFIG_KEYS if key in details}
    if isinstance(size, int | float):
        size = (size, size)
    return known if size is None else known | {"input_size": (3, *size)}


def _find_classes(config, details, file) -> int | list[str]:
    number = config.get("num_classes", details.get("num_classes"))
    if not isinstance(number, int):
        raise ModelError(f"{file} does not say num_classes.")
    names = config.get("label_names", details.get("label_names"))
    if not isinstance(names, list) or not names:  # a mapping has gaps
        return number
    if len(names) != number:
        raise ModelError(
            f"{file} has label_names of {len(names)} classes, but num_classes is "
            f"{number}."
        )
    texts = config.get("label_descriptions", details.get("label_descriptions"))
    texts = texts if isinstance(texts, Mapping) else {}
    described = [texts.get(name, name) if _is_text(name) else "" for name in names]
    # Of several words for one thing the first.
    short = [text.partition(",")[0] if _is_text(text) else "" for text in described]
    # Names that would be unreadable in columns are left out.
    return next((texts for texts in (short, names) if are_names(texts)), number)


def _is_text(value) -> bool:
    return isinstance(value, str)


def _read_arguments(arguments, file) -> tuple[tuple[str, object], ...]:
    if not isinstance(arguments, Mapping):
        raise ModelError(f"{file}: model_args must be a dictionary.")
    for name, value in arguments.items():
        if name.startswith(REFUSED) or not _is_plain(value):
            raise ModelError(f"{file}: the argument '{name}' in model_args is refused.")
    if arguments.get("in_chans", 3) != 3:
        raise ModelError(f"{file}: its network is not for images in color.")
    return tuple(
        (name, _frozen(value))
        for name, value in arguments.items()
        if name != "num_classes"  # which is known from elsewhere
    )


def _is_plain(value) -> bool:
    if isinstance(value, list):
        return len(value) <= MOST and all(map(_is_plain, value))
    if isinstance(value, int | float):
        return abs(value) <= MOST
    return value is None or isinstance(value, str)


def _frozen(value):
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
