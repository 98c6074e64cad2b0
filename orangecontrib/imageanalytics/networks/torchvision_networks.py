"""Any classification network of torchvision, by its name in torchvision.

Importing this does not import torchvision, which takes seconds.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from orangecontrib.imageanalytics.networks.checkpoints import CheckpointNetwork
from orangecontrib.imageanalytics.networks.network import with_similar
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.torch_library import require_torch
from orangecontrib.imageanalytics.networks.weights import DownloadedWeights

PREFIX = "torchvision:"
MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class TorchvisionNetwork(CheckpointNetwork):
    """A network of torchvision; `weights` are downloaded."""

    def adapt(self, state: dict) -> dict:
        """As `CheckpointNetwork.adapt`.

        The checkpoints of DenseNets were made when names could hold more dots.
        """
        if not self.builder.startswith("torchvision.models:densenet"):
            return state
        old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
        return {old.sub(r"\1\2.", name): tensor for name, tensor in state.items()}


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all networks, such as ``"torchvision:regnet_y_8gf"``.

    Raises
    ------
    ModelError
        When torchvision is not installed.
    """
    models = _import_models()
    return tuple(PREFIX + name for name in models.list_models(module=models))


def find(name: str) -> TorchvisionNetwork:
    """A network with its weights.

    Parameters
    ----------
    name : str
        Its name in torchvision. Weights other than the default ones follow after a
        dot: ``"regnet_y_8gf.IMAGENET1K_V1"``.

    Raises
    ------
    ValueError
        When torchvision has no such network or no such weights.
    ModelError
        When torchvision is not installed.
    """
    models = _import_models()
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


def _import_models():
    require_torch("A network of torchvision")
    from torchvision import models

    return models


def _choices(name) -> dict:
    """Weights by their name in torchvision, without those not fully trained."""
    from torchvision import models

    choices = {weights.name: weights for weights in models.get_model_weights(name)}
    return {tag: it for tag, it in choices.items() if it.meta["categories"]}


def _advice(name: str) -> str:
    text = f"torchvision has no classification network '{name}'"
    known = [entry.removeprefix(PREFIX) for entry in names()]
    return with_similar(text, name, known, 0.5)


def _network(name, weights) -> TorchvisionNetwork:
    preprocessing = Preprocessing.from_torchvision(weights.transforms())
    classes = tuple(weights.meta["categories"])
    options = {"num_classes": len(classes)}
    if name in ("googlenet", "inception_v3"):
        options |= {"transform_input": True, "init_weights": False}
    if name.startswith("vit_"):
        options["image_size"] = preprocessing.size
    return TorchvisionNetwork(
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
