"""Weights of an architecture of torchvision or timm, in the user's own file.

Like networks with downloaded weights, these have stages, a penultimate layer and
logits, and run on every processor. Nothing here imports torch.
"""

from __future__ import annotations

import dataclasses
import ntpath
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError, first_line
from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.networks import timm_networks, torchvision_networks
from orangecontrib.imageanalytics.networks.files.file_weights import FileWeights
from orangecontrib.imageanalytics.networks.files.kinds import find_timm_weights
from orangecontrib.imageanalytics.networks.files.preparation import (
    WEIGHTS_HELP,
    Preparation,
    check_values,
    complete,
    prepare,
)
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.timm_networks import TimmNetwork
from orangecontrib.imageanalytics.networks.torchvision_networks import (
    TorchvisionNetwork,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

# Additional classifiers of two networks, which are only needed for training.
AUXILIARY = {"inception_v3": ("AuxLogits.",), "googlenet": ("aux1.", "aux2.")}


@dataclass(frozen=True, kw_only=True)
class _KnownArchitecture:
    """What the networks below have in common; it comes before the class of `Network`.

    Attributes
    ----------
    architecture : str
        With the prefix.
    n_classes : int
    """

    architecture: str
    n_classes: int

    @property
    def about(self) -> tuple[tuple[str, object], ...]:
        """As `Network.about`; empty for a folder, which describes itself."""
        if not self.weights.architecture:
            return ()
        return (
            ("architecture", self.architecture),
            ("classes", self.n_classes),
            ("size", self.input_size),
        )

    def build(self, *device: str) -> nn.Module:
        """As `Network.build`; some cannot be built for all sizes of images.

        Raises
        ------
        ModelError
            When it cannot be built.
        """
        try:
            return super().build(*device)
        except ModelError:
            raise
        except Exception as error:  # of whatever kind: arguments may be anyone's
            raise ModelError(
                f"{self.weights.path}: {self.architecture} cannot be built for "
                f"images of {self.input_size} pixels: {first_line(error)}"
            ) from error

    def _misfit(self, path: str) -> str:
        """The beginning of messages about weights that are not for this network."""
        n = self.n_classes
        classes = f"{n} {pl(n, 'class|classes')}"
        return f"{path} does not fit {self.architecture} with {classes}"


@dataclass(frozen=True, kw_only=True)
class TorchvisionFile(_KnownArchitecture, TorchvisionNetwork):
    """A file with weights of an architecture of torchvision."""

    def load(self, path: str) -> nn.Module:
        """As `Network.load`."""
        from orangecontrib.imageanalytics.networks.files import state_dicts

        model = self.build()
        state = self.adapt(state_dicts.read_state(path))
        expected = model.state_dict()
        state = state_dicts.fit_state(state, expected, self._misfit(path))
        model.load_state_dict(state, assign=True)
        self.weights.check_unchanged()
        return model.requires_grad_(False)

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """As `CheckpointNetwork.adapt`."""
        unused = AUXILIARY.get(self.builder.rpartition(":")[2], ())
        state = super().adapt(state)
        return {
            key: value
            for key, value in state.items()
            if not any(f".{part}" in f".{key}" for part in unused)
        }


@dataclass(frozen=True, kw_only=True)
class TimmFile(_KnownArchitecture, TimmNetwork):
    """A file with weights of an architecture of timm.

    Attributes
    ----------
    arguments : tuple of (str, object)
        Further ones of the architecture.
    """

    arguments: tuple[tuple[str, object], ...] = ()

    def load(self, path: str) -> nn.Module:
        """As `Network.load`."""
        import torch

        from orangecontrib.imageanalytics.networks.files import state_dicts

        state = state_dicts.read_state(self._weight_file(path))
        # Before memory is asked for: the numbers may be anyone's.
        expected = self.build().state_dict()
        try:
            state = state_dicts.fit_state(state, expected, self._misfit(path))
            model = self._create("cpu")
            model.load_state_dict(state)
        except ModelError as misfit:
            model = self._load_by_timm(state, misfit)
        self.weights.check_unchanged()
        model.requires_grad_(False)
        return model.to(memory_format=torch.channels_last)

    def _create(self, device: str, **options) -> nn.Module:
        own = {"num_classes": self.n_classes, **dict(self.arguments)}
        return super()._create(device, **own, **options)

    def _load_by_timm(self, state, misfit) -> nn.Module:
        """Weights that timm knows by other names, as those of who made them."""
        overlay = {
            "state_dict": state,
            "num_classes": self.n_classes,
            "label_offset": 0,
            "source": "",
        }
        try:
            return self._create_pretrained(overlay)
        except Exception:  # whatever timm's filters raise on others' tensors
            raise misfit from None

    @staticmethod
    def _weight_file(path: str) -> str:
        if not os.path.isdir(path):
            return path
        try:
            return find_timm_weights(path)
        except ModelError as error:
            raise ModelError(f"{path} {error}.") from error

    @property
    def _timm_name(self) -> str:
        return self.architecture.removeprefix(timm_networks.PREFIX)


def find(path: str, values: dict, given, where: str) -> Network:
    """The network whose weights are in a file.

    Parameters
    ----------
    path : str
        Maybe on another computer.
    values : dict
        What is written down about it; see `preparation`.
    given : Preprocessing or None
        Instead of what is written down about images.
    where : str
        Where it is written down, for messages.

    Raises
    ------
    ModelError
        When anything is missing or wrong, there is no such architecture, or timm is
        not installed.
    """
    check_values(values, where)
    for key in ("architecture", "classes"):
        if key not in values:
            raise ModelError(f"{where} lacks {key}. {WEIGHTS_HELP}")
    architecture = values["architecture"]
    weights = FileWeights(path, architecture)
    try:
        if architecture.startswith(torchvision_networks.PREFIX):
            return _find_torchvision(weights, values, given, where)
        return find_timm(weights, values, given, where)
    except ValueError as error:
        raise ModelError(f"{where}: {error}.") from error


def _find_torchvision(weights, values, given, where) -> TorchvisionFile:
    architecture = values["architecture"]
    like = torchvision_networks.find(
        architecture.removeprefix(torchvision_networks.PREFIX)
    )
    preparation = _prepare(values, _as_values(like.preprocessing), given, where)
    if not preparation.n_classes:
        raise ModelError(f"{where}: networks of torchvision have at least one class.")
    name = like.builder.rpartition(":")[2]
    size = preparation.preprocessing.size
    options = dict(like.options) | {"num_classes": preparation.n_classes}
    if name in AUXILIARY:
        options["aux_logits"] = False
    if name.startswith("vit_"):
        options["image_size"] = size
    if name.startswith("maxvit_"):
        options["input_size"] = (size, size)
    return TorchvisionFile(
        **_facts(weights, preparation),
        builder=like.builder,
        options=tuple(options.items()),
        architecture=architecture,
        n_classes=preparation.n_classes,
    )


def find_timm(weights, values, given, where, config=None, arguments=()) -> TimmFile:
    """As `find`, of an architecture of timm.

    Parameters
    ----------
    weights : FileWeights
    values, given, where
        As for `find`.
    config : dict, optional
        What timm's ``pretrained_cfg`` says; by default that of the architecture.
    arguments : tuple of (str, object)
        Further ones of the architecture.
    """
    timm = timm_networks.import_timm()
    name = values["architecture"].removeprefix(timm_networks.PREFIX)
    if not timm.is_model(name.partition(".")[0]):
        raise ModelError(f"{where}: {timm_networks.advice(name)}.")
    try:
        own = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise ModelError(f"{where}: timm has no weights '{name}'.") from error
    known = (own.to_dict() if own else {}) | (config or {})
    preparation = _prepare(values, _timm_defaults(known, where), given, where)
    size = preparation.preprocessing.size
    if own and own.fixed_input_size and size != own.input_size[-1]:
        arguments = ({"img_size": size} | dict(arguments)).items()
    return TimmFile(
        **_facts(weights, preparation),
        has_classifier=bool(preparation.n_classes),
        architecture=values["architecture"],
        n_classes=preparation.n_classes,
        arguments=tuple(arguments),
    )


def _timm_defaults(config: dict, where: str) -> dict:
    try:
        channels, height, width = config["input_size"]
        if channels != 3 or height != width:
            raise ModelError("its images are not squares in color")
        return _as_values(timm_networks.read_preprocessing(config))
    except Exception as error:  # of whatever kind: a folder's may say anything
        raise ModelError(
            f"{where}: the preparation of images cannot be understood: "
            f"{first_line(error)}"
        ) from error


def _as_values(preprocessing: Preprocessing) -> dict:
    """The same in the form of a written description."""
    values = {
        "size": preprocessing.size,
        "resize": preprocessing.resize,
        "mean": [value / 255 for value in preprocessing.mean],
        "std": [value / 255 for value in preprocessing.std],
        "interpolation": preprocessing.interpolation,
        "fit": preprocessing.fit,
    }
    return {key: value for key, value in values.items() if value is not None}


def _prepare(values, defaults, given, where) -> Preparation:
    wanted = {k: v for k, v in values.items() if k != "architecture"}
    preparation = prepare(complete(wanted, defaults), where)
    if isinstance(given, Preprocessing):
        return dataclasses.replace(preparation, preprocessing=given)
    return preparation


def _facts(weights: FileWeights, preparation: Preparation) -> dict:
    """The attributes that all networks in files have."""
    return {
        "id": weights.file,
        "name": ntpath.basename(weights.file),
        "description": "Weights from a file.",
        "input_size": preparation.preprocessing.size,
        "weights": weights,
        "preprocessing": preparation.preprocessing,
        "classes": preparation.classes,
    }
