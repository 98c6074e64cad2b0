"""Any classification network of torchvision, by its name there.

Importing this imports torchvision.
"""

from __future__ import annotations

import difflib
import functools

from torchvision import models

from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.weights import DownloadedWeights

PREFIX = "torchvision:"
MEBIBYTE = 2**20


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all networks, such as ``"torchvision:regnet_y_8gf"``."""
    return tuple(PREFIX + name for name in models.list_models(module=models))


def find(name: str) -> Network:
    """A network with its weights.

    Parameters
    ----------
    name : str
        As torchvision has it, with its default weights, or followed by a dot and
        the name of others: ``"regnet_y_8gf.IMAGENET1K_V1"``.

    Raises
    ------
    ValueError
        When torchvision has no such network or no such weights.
    """
    name, _, tag = name.partition(".")
    if PREFIX + name not in names():
        raise ValueError(_advice(name))
    choices = _choices(name)
    default = models.get_model_weights(name).DEFAULT.name
    if (tag or default) not in choices:
        raise ValueError(
            f"torchvision has no weights '{tag}' of '{name}' that can be used here, "
            f"only: {', '.join(choices)}"
        )
    return _network(name, choices[tag or default])


def _choices(name) -> dict:
    """Weights by their name there; not those of which a part was never trained."""
    choices = {weights.name: weights for weights in models.get_model_weights(name)}
    return {tag: it for tag, it in choices.items() if it.meta["categories"]}


def _advice(name: str) -> str:
    text = f"torchvision has no classification network '{name}'"
    known = [entry.removeprefix(PREFIX) for entry in names()]
    near = difflib.get_close_matches(name, known, 6, 0.5)
    return f"{text}; similar: {', '.join(near)}" if near else text


def _network(name, weights) -> Network:
    preprocessing = Preprocessing.from_torchvision(weights.transforms())
    classes = tuple(weights.meta["categories"])
    options = {"num_classes": len(classes)}
    if name in ("googlenet", "inception_v3"):
        options |= {"transform_input": True, "init_weights": False}
    if name.startswith("vit_"):
        options["image_size"] = preprocessing.size
    return Network(
        # With the weights, since another version may have others as the default.
        id=f"{PREFIX}{name}.{weights.name}",
        name=f"{name} ({weights.name})",
        description="From torchvision; trained on ImageNet.",
        input_size=preprocessing.size,
        weights=DownloadedWeights(
            url=weights.url,
            megabytes=weights.meta["_file_size"] * MEBIBYTE / 1e6,
            licence=weights.meta.get("license", "BSD-3-Clause"),
            source=weights.meta.get("recipe", weights.url),
        ),
        preprocessing=preprocessing,
        classes=classes,
        builder=f"torchvision.models:{name}",
        options=tuple(options.items()),
    )
