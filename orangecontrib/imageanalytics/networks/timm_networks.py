"""Any pretrained network of timm, by its name in timm.

Importing this imports neither timm nor torch.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.hub_weights import INSTALL, HubWeights
from orangecontrib.imageanalytics.networks.network import (
    LOGITS,
    PENULTIMATE,
    Network,
    with_similar,
)
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.weights import (
    DownloadedWeights,
    read_checkpoint,
    read_state_dict,
)

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm:"
# What timm calls the fits.
CROP_MODES = {"center": "crop", "squash": "stretch", "border": "pad"}
UNKNOWN = "unknown"  # timm's word for licences


@dataclass(frozen=True, kw_only=True)
class TimmNetwork(Network):
    """A network of timm."""

    def load(self, path: str) -> nn.Module:
        """As `Network.load`.

        Batch norms are not folded: timm's may contain an activation.
        """
        import torch

        # Read here and not by timm, some versions of which unpickle whatever there
        # is.
        state = _read_state(self, path)
        try:
            model = self._create_pretrained({"state_dict": state})
        except Exception as error:  # whatever timm's filters raise on others' tensors
            raise ModelError(
                f"{self.name}: the weights in {path} are not for this network: {error}"
            ) from error
        model.requires_grad_(False)
        return model.to(memory_format=torch.channels_last)

    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """As `Network.read_layer`.

        A stage that timm names returns a map, shape (n, features, side, side),
        without the class token of a transformer.
        """
        from orangecontrib.imageanalytics.networks import layers

        if layer == LOGITS:
            if not model.num_classes:
                # It was trained without.
                raise ValueError("it has no classifier, and so no logits")
            return model
        if layer == PENULTIMATE:
            if model.num_classes:
                model.reset_classifier(0)
            return model
        stage_names = _stage_names(model)
        if layer in stage_names and hasattr(model, "forward_intermediates"):
            return layers.Intermediate(model, stage_names.index(layer))
        return layers.read_layer(model, layer)

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`."""
        from orangecontrib.imageanalytics.networks import layers

        model = self.build()
        # Some have two branches whose stages bear the same names: the first is read.
        stage_names = tuple(name for name in dict.fromkeys(_stage_names(model)) if name)
        return stage_names or layers.find_stages(model, self.input_size)

    def build(self) -> nn.Module:
        """As `Network.build`, without memory for the weights if that is possible."""
        try:
            return self._create("meta")
        except (NotImplementedError, RuntimeError):  # computes while it is built
            return self._create("cpu")

    def _create(self, device: str, **options) -> nn.Module:
        import torch

        timm = import_timm()
        with torch.device(device):
            return timm.create_model(self._timm_name, **options).eval()

    def _create_pretrained(self, overlay: dict) -> nn.Module:
        """Create the network with the ``state_dict`` in an overlay of its config."""
        model = self._create("cpu", pretrained=True, pretrained_cfg_overlay=overlay)
        # timm keeps a copy there, as large as the network.
        model.pretrained_cfg.pop("state_dict", None)
        return model

    @property
    def _timm_name(self) -> str:
        return self.id.removeprefix(PREFIX)


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all networks, such as ``"timm:resnet18.a1_in1k"``.

    They include the names of the weights. Networks that cannot be used are left out:
    those without public weights, with a download that cannot be checked, or with input
    other than squares in colour.

    Raises
    ------
    ModelError
        When timm is not installed.
    """
    timm = import_timm()
    return tuple(
        PREFIX + name
        for name in timm.list_pretrained()
        if _is_usable(timm.get_pretrained_cfg(name))
    )


def find(name: str) -> TimmNetwork:
    """A network with its weights.

    Parameters
    ----------
    name : str
        Its name in timm: ``"resnet18.a1_in1k"``, or ``"resnet18"`` for timm's
        default weights.

    Raises
    ------
    ValueError
        When timm has no such network or weights. The message names similar ones.
    ModelError
        When timm is not installed.
    """
    timm = import_timm()
    full = name if "." in name else _with_default(name)
    if PREFIX + full not in names():
        raise ValueError(advice(name))
    return _network(full, timm.get_pretrained_cfg(full))


def import_timm():
    """The package timm.

    Raises
    ------
    ModelError
        When it is not installed.
    """
    try:
        import timm
    except ImportError as error:
        raise ModelError(
            f"Networks of timm need the package timm: {INSTALL} ({error})"
        ) from error
    return timm


def _with_default(architecture: str) -> str:
    """The name, with the name of timm's default weights added.

    They are part of the id, since another version of timm may have others.
    """
    config = import_timm().get_pretrained_cfg(architecture)
    return f"{architecture}.{config.tag}" if config else architecture


def _is_usable(config) -> bool:
    channels, height, width = config.input_size
    whole = config.crop_mode != "border" or config.crop_pct == 1
    return (
        channels == 3
        and height == width
        and config.interpolation in ("bilinear", "bicubic")
        and config.crop_mode in CROP_MODES
        and whole
        and bool(config.hf_hub_id or _has_hash(config.url))
    )


def _has_hash(url) -> bool:
    return bool(re.search(r"-[0-9a-f]{8,}\.pth$", url or ""))


def advice(name: str) -> str:
    """Why there is no such network, and which names are similar."""
    known = [entry.removeprefix(PREFIX) for entry in names()]
    architecture, _, tag = name.partition(".")
    others = [entry for entry in known if entry.partition(".")[0] == architecture]
    if others:
        text = f"timm has no weights '{tag}' of '{architecture}' that can be used here"
        return f"{text}, only: {', '.join(others)}"
    text = f"timm has no pretrained network '{name}' that can be used here"
    architectures = dict.fromkeys(entry.partition(".")[0] for entry in known)
    return with_similar(text, architecture, architectures)


def _network(name, config) -> TimmNetwork:
    architecture, _, tag = name.partition(".")
    preprocessing = read_preprocessing(config.to_dict())
    return TimmNetwork(
        id=PREFIX + name,
        name=f"{architecture} ({tag})",
        description="From timm.",
        input_size=preprocessing.size,
        weights=_weights(name, config),
        preprocessing=preprocessing,
        classes=_class_names(config.num_classes),
        has_classifier=bool(config.num_classes),
    )


def read_preprocessing(config: dict) -> Preprocessing:
    """Read how timm prepares images for a network.

    Parameters
    ----------
    config : dict
        The ``pretrained_cfg`` of timm.
    """
    from timm.data import resolve_data_config

    data = resolve_data_config(pretrained_cfg=config)
    size = data["input_size"][-1]
    return Preprocessing(
        size=size,
        resize=math.floor(size / data["crop_pct"]),
        mean=tuple(255 * value for value in data["mean"]),
        std=tuple(255 * value for value in data["std"]),
        interpolation=data["interpolation"],
        fit=CROP_MODES[data["crop_mode"]],
    )


def _weights(name, config) -> HubWeights | DownloadedWeights:
    licence = "" if config.license in (None, UNKNOWN) else config.license
    if config.hf_hub_id:
        return HubWeights(config.hf_hub_id, licence, name)
    return DownloadedWeights(
        url=config.url,
        megabytes=float("nan"),
        licence=licence,
        source=config.origin_url or config.url,
    )


@functools.cache
def _class_names(number: int) -> tuple[str, ...]:
    """Names of the scores, without all but the first synonym."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": number})
    if subset is None:
        return ()
    synonyms = ImageNetInfo(subset).label_descriptions()
    return tuple(names.partition(",")[0].strip() for names in synonyms)


def _read_state(network: TimmNetwork, path: str) -> dict:
    if isinstance(network.weights, DownloadedWeights):
        return read_checkpoint(path, network.weights.sha256)
    state = read_state_dict(path, network.name)
    # Else its vectors would be kept as those of the file as it was.
    network.weights.check_unchanged()
    return state


def _stage_names(model) -> list[str]:
    return [stage["module"] for stage in getattr(model, "feature_info", ())]
