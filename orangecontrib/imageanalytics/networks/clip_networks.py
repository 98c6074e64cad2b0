"""Networks that know words, by their names in open_clip.

A name is ``"clip:ARCHITECTURE.WEIGHTS"``, such as
``"clip:ViT-B-32-256.datacomp_s34b_b86k"``, with open_clip's names for both. Importing
this imports neither open_clip nor torch.

open_clip's ``create_model`` and ``get_tokenizer`` are not used: they may download files
and they change the settings of the root logger.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.hub_weights import HubFile, HubWeights
from orangecontrib.imageanalytics.networks.network import (
    JOINT,
    LOGITS,
    PENULTIMATE,
    Network,
    with_similar,
)
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.text_tokens import (
    INSTALL,
    TOKENIZER_FILES,
    FileTokenizer,
)
from orangecontrib.imageanalytics.networks.weights import read_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

PREFIX = "clip:"
_MISSING = f"Networks that know words need the package open_clip_torch: {INSTALL}"
SOFTMAX, SIGMOID = "softmax", "sigmoid"
# In the order in which open_clip looks for them. Repositories may also have a
# model.safetensors, with the names of another package.
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# What open_clip calls the fits.
RESIZE_MODES = {"shortest": "crop", "squash": "stretch"}
# Of the arguments of open_clip's tokenizers, those that `_tokenizer` understands.
TOKENIZER_ARGUMENTS = {"clean"}
# Apple's terms allow research only, which should be known before a download. Those of
# others are not in open_clip.
_RESEARCH = "Apple Machine Learning Research Model License, for research only"
LICENCES = {"apple/": _RESEARCH, "timm/MobileCLIP2-": _RESEARCH}
# Their repositories hold the files of the tokenizers; others need not.
TOKENIZER_OWNER = "timm/"


@dataclass(frozen=True, kw_only=True)
class ClipNetwork(Network):
    """A network of open_clip: one part for images and one for texts.

    Attributes
    ----------
    architecture : str
        Its name in open_clip.
    scoring : {"softmax", "sigmoid"}
        How similarities become probabilities, as in training.
    """

    architecture: str
    scoring: str = SOFTMAX
    layer: str = JOINT
    has_classifier: bool = False
    knows_words: bool = True

    @property
    def missing_package(self) -> str:
        """As `Network.missing_package`."""
        if importlib.util.find_spec("open_clip") is None:
            return "open_clip_torch"
        if self.weights.others and importlib.util.find_spec("tokenizers") is None:
            return "tokenizers"
        return super().missing_package

    @property
    def not_installed(self) -> str:
        """As `Network.not_installed`."""
        match self.missing_package:
            case "open_clip_torch":
                return _MISSING
            case "tokenizers":
                return f"{self.name} needs the package tokenizers: {INSTALL}"
        return super().not_installed

    def load(self, path: str) -> nn.Module:
        """As `Network.load`; the part for images."""
        import torch

        return self._load(path).visual.to(memory_format=torch.channels_last)

    def load_text(self, path: str) -> nn.Module:
        """Load the part for texts, on the CPU.

        Parameters
        ----------
        path : str
            The weight file, from ``weights.ensure``.

        Returns
        -------
        torch.nn.Module
            In evaluation mode. Its ``encode_text`` takes what `load_tokenizer`
            returns; it has a ``logit_scale``, whose exponential multiplies
            similarities, and a ``logit_bias``, which may be None.

        Raises
        ------
        ModelError
            As `load`.
        """
        model = self._load(path)
        del model.visual
        return model

    def load_tokenizer(self) -> Callable[[Sequence[str]], Tensor]:
        """Make the function that turns texts into numbers of tokens.

        Returns
        -------
        callable
            Takes a list of n texts and returns an int64 tensor, shape
            (n, context length). Longer texts are cut. For one thread at a time.

        Raises
        ------
        ModelError
            When its files cannot be used.
        """
        config = self._config["text_cfg"]
        arguments = config.get("tokenizer_kwargs") or {}
        context_length = config["context_length"]
        if not config.get("hf_tokenizer_name"):
            open_clip = import_open_clip()
            return open_clip.SimpleTokenizer(context_length=context_length, **arguments)
        files = [self.weights.path_of(name) for name in TOKENIZER_FILES]
        return FileTokenizer(*files, context_length, self.name, **arguments)

    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """As `Network.read_layer`.

        A stage that is in `stages` returns a map, shape (n, features, side, side),
        without the class token of a transformer.
        """
        from orangecontrib.imageanalytics.networks import clip_layers, layers

        if layer == JOINT:
            return clip_layers.Joint(model)
        if layer == PENULTIMATE:
            return clip_layers.before_projection(model)
        if layer == LOGITS:
            raise ValueError("it has no classifier, and so no logits")
        names = clip_layers.stage_names(model)
        if layer in names:
            return clip_layers.Intermediate(model, names.index(layer))
        return layers.read_layer(model, layer)

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`."""
        from orangecontrib.imageanalytics.networks import clip_layers

        return clip_layers.stage_names(self.build())

    def build(self) -> nn.Module:
        """As `Network.build`, without memory for the weights; the part for images."""
        return self._create("meta").visual

    @property
    def _config(self) -> dict:
        config = import_open_clip().get_model_config(self.architecture)
        if config is None:
            raise ModelError(
                f"{self.name}: this version of open_clip_torch has no architecture "
                f"'{self.architecture}': pip install --upgrade open_clip_torch"
            )
        return config

    def _create(self, device: str) -> nn.Module:
        """The whole network without its weights, as ``open_clip.create_model``."""
        import torch

        open_clip = import_open_clip()
        config = self._config
        is_custom = config.pop("custom_text", False)
        # Nothing is downloaded.
        config["vision_cfg"]["timm_model_pretrained"] = False
        cls = open_clip.CustomTextCLIP if is_custom else open_clip.CLIP
        with torch.device(device):
            return cls(**config).eval()

    def _load(self, path: str) -> nn.Module:
        open_clip = import_open_clip()
        model = self._create("cpu")
        try:
            open_clip.load_checkpoint(model, path, weights_only=True)
        except Exception as error:  # whatever open_clip raises on others' tensors
            read_state_dict(path, self.name)  # says so if it cannot be read
            raise ModelError(
                f"{self.name}: the weights in {path} are not for this network: {error}"
            ) from error
        # Else its vectors would be kept as those of the file as it was.
        self.weights.check_unchanged()
        return model.requires_grad_(False)


@functools.cache
def names() -> tuple[str, ...]:
    """Names of all networks, such as ``"clip:ViT-B-16.dfn2b"``.

    Networks that cannot be used are left out: those whose text part needs another
    package or whose tokenizer is elsewhere, those that write texts, and weights that
    were trained for another activation than the architecture has.

    Raises
    ------
    ModelError
        When open_clip is not installed.
    """
    open_clip = import_open_clip()
    return tuple(
        f"{PREFIX}{architecture}.{tag}"
        for architecture, tag in open_clip.list_pretrained()
        if _is_usable(
            open_clip.get_model_config(architecture),
            open_clip.get_pretrained_cfg(architecture, tag),
        )
    )


def find(name: str) -> ClipNetwork:
    """A network with its weights.

    Parameters
    ----------
    name : str
        The architecture and the weights, such as ``"ViT-B-16.datacomp_xl_s13b_b90k"``.
        The weights may be omitted if there are only one.

    Raises
    ------
    ValueError
        When open_clip has no such network or weights. The message names similar ones.
    ModelError
        When open_clip is not installed.
    """
    open_clip = import_open_clip()
    architecture, dot, tag = name.partition(".")
    if not dot and len(tags := _tags(architecture)) == 1:
        tag = tags[0]
    if f"{PREFIX}{architecture}.{tag}" not in names():
        raise ValueError(_advice(name))
    return _network(
        architecture,
        tag,
        open_clip.get_model_config(architecture),
        open_clip.get_pretrained_cfg(architecture, tag),
    )


def import_open_clip():
    """The package open_clip.

    Raises
    ------
    ModelError
        When it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ModelError(f"{_MISSING} ({error})") from error
    return open_clip


def tokenizer_files(repository: str) -> tuple[HubFile, ...]:
    """The files of a tokenizer in a repository of the hub."""
    return tuple(HubFile(repository, (name,)) for name in TOKENIZER_FILES)


def _is_usable(config: dict, pretrained: dict) -> bool:
    vision, text = config["vision_cfg"], config["text_cfg"]
    arguments = text.get("tokenizer_kwargs") or {}
    tokenizer = text.get("hf_tokenizer_name") or TOKENIZER_OWNER
    return (
        bool(pretrained["hf_hub"])
        and isinstance(vision["image_size"], int)
        and pretrained["resize_mode"] in RESIZE_MODES
        and pretrained["interpolation"] in ("bilinear", "bicubic")
        and "multimodal_cfg" not in config
        and not text.get("hf_model_name")
        and not text.get("tokenizer_mode")
        and set(arguments) <= TOKENIZER_ARGUMENTS
        and tokenizer.startswith(TOKENIZER_OWNER)
        and pretrained.get("quick_gelu", False) == config.get("quick_gelu", False)
    )


def _tags(architecture: str) -> list[str]:
    prefix = f"{PREFIX}{architecture}."
    return [name.removeprefix(prefix) for name in names() if name.startswith(prefix)]


def _advice(name: str) -> str:
    """Why there is no such network, and which names are similar."""
    architecture, _, tag = name.partition(".")
    if tags := _tags(architecture):
        others = ", ".join(f"{architecture}.{tag}" for tag in tags)
        if not tag:
            return f"open_clip has several weights of '{architecture}': {others}"
        text = f"open_clip has no weights '{tag}' of '{architecture}'"
        return f"{text} that can be used here, only: {others}"
    text = f"open_clip has no network '{name}' that can be used here"
    architectures = dict.fromkeys(
        known.removeprefix(PREFIX).partition(".")[0] for known in names()
    )
    return with_similar(text, architecture, architectures)


def _network(architecture, tag, config, pretrained) -> ClipNetwork:
    size = config["vision_cfg"]["image_size"]
    return ClipNetwork(
        id=f"{PREFIX}{architecture}.{tag}",
        name=f"{architecture} ({tag})",
        description="From open_clip; knows words.",
        input_size=size,
        n_features=config["embed_dim"],
        weights=_weights(f"{architecture}.{tag}", config["text_cfg"], pretrained),
        preprocessing=read_preprocessing(size, pretrained),
        architecture=architecture,
        # Networks that are trained with the sigmoid loss also learn a bias.
        scoring=SOFTMAX if config.get("init_logit_bias") is None else SIGMOID,
    )


def read_preprocessing(size: int, pretrained: dict) -> Preprocessing:
    """Read how open_clip prepares images for a network.

    Parameters
    ----------
    size : int
        Side of the network's input, in pixels.
    pretrained : dict
        From ``open_clip.get_pretrained_cfg``.
    """
    return Preprocessing(
        size=size,
        resize=size,
        mean=tuple(255 * value for value in pretrained["mean"]),
        std=tuple(255 * value for value in pretrained["std"]),
        interpolation=pretrained["interpolation"],
        fit=RESIZE_MODES[pretrained["resize_mode"]],
    )


def _weights(name: str, text: dict, pretrained: dict) -> HubWeights:
    # As open_clip writes it: owner/repository/ or owner/repository/file.
    repository, _, file = pretrained["hf_hub"].rpartition("/")
    stem = file.rpartition(".")[0]
    tokenizer = text.get("hf_tokenizer_name")
    licences = (
        text for start, text in LICENCES.items() if repository.startswith(start)
    )
    return HubWeights(
        repository=repository,
        licence=next(licences, ""),
        network=name,
        files=(f"{stem}.safetensors", file) if file else FILES,
        others=tokenizer_files(tokenizer) if tokenizer else (),
        install=INSTALL,
    )
