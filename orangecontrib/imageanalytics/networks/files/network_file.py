"""The user's own network, in a file or folder.

Plain data are opened freely. A file that can run code is opened only after the user
has vouched for that very file; see `trust`. Nothing here imports torch.
"""

from __future__ import annotations

import ntpath
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError, TrustNeededError
from orangecontrib.imageanalytics.networks.files import (
    known_architecture,
    timm_folder,
    trust,
)
from orangecontrib.imageanalytics.networks.files.file_weights import FileWeights
from orangecontrib.imageanalytics.networks.files.kinds import Kind, find_kind
from orangecontrib.imageanalytics.networks.files.preparation import (
    HELP,
    WEIGHTS_HELP,
    Preparation,
    check_values,
    find_preparation,
    prepare,
    read_preparation,
    stem_of,
)
from orangecontrib.imageanalytics.networks.network import LOGITS, Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from orangecontrib.imageanalytics.networks.files.module import OutputModule


@dataclass(frozen=True, kw_only=True)
class NetworkFile(Network):
    """A network in a file, which has one output.

    Attributes
    ----------
    kind : Kind
    n_classes : int or None
        Length of its output, if that is known.
    """

    kind: Kind
    n_classes: int | None = None
    layer: str = LOGITS  # its only output, whatever that is
    has_layers: bool = False

    def vouch(self) -> None:
        """As `Network.vouch`."""
        if self.kind.runs_code:
            trust.vouch(self.weights.sha256, self.weights.path)

    def check_trust(self) -> None:
        """As `Network.check_trust`."""
        if self.kind.runs_code:
            with open(self.weights.path, "rb") as file:
                trust.check_vouched(self.weights.path, file.read())

    def load(self, path: str) -> nn.Module:
        """As `Network.load`; also raises if the network does not return vectors.

        Raises
        ------
        TrustNeededError
            When it can run code and the user has not vouched for it.
        """
        from orangecontrib.imageanalytics.networks.files import module

        # Finds out, before anything is opened, whether all parts are in one place.
        expected = self.weights.sha256
        try:
            model = self._open(path, expected)
            module.check_output(model, self)
        except TrustNeededError:
            raise
        except ModelError as error:
            # Each is a reason that begins with a verb.
            raise ModelError(f"{path} {str(error).rstrip('.')}.") from error.__cause__
        except Exception as error:  # of whatever kind: torch raises any
            raise ModelError(
                f"{path} is damaged, or was made by a newer version of PyTorch: "
                f"{module.short_reason(error)}"
            ) from error
        # Otherwise its vectors would be cached as those of the unchanged file.
        self.weights.check_unchanged()
        return model

    def _open(self, path: str, sha256: str) -> OutputModule:
        if self.kind.runs_code:
            return self._open_code(path, sha256)
        from orangecontrib.imageanalytics.networks.files import (
            onnxruntime_files,
            openvino_files,
        )

        try:
            model = openvino_files.load_openvino(path, self.kind, self.input_size)
        except openvino_files.UnknownOperationError as unknown:
            if self.kind is not Kind.ONNX:
                raise
            try:
                return onnxruntime_files.load_onnx(path)
            except ModelError as error:
                raise ModelError(f"{unknown}; it {error}") from error
        if model.takes_whole_numbers and set(self.preprocessing.std) != {1}:
            raise ModelError(
                "takes whole numbers, so its description must have "
                '{"range": 255, "mean": [0, 0, 0], "std": [1, 1, 1]}'
            )
        return model

    def _open_code(self, path: str, sha256: str) -> OutputModule:
        """Read the file only once, so that the checked content is what is opened."""
        with open(path, "rb") as file:
            content = file.read()
        if trust.check_vouched(path, content) != sha256:
            raise ModelError("has changed since it was chosen")
        from orangecontrib.imageanalytics.networks.files import programs

        if self.kind is Kind.PROGRAM:
            return programs.open_program(content)
        return programs.open_script(content)

    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """As `Network.read_layer`: the network itself."""
        if layer == LOGITS:
            return model
        raise ValueError(f"a file has one output, so it has no layer '{layer}'")

    def stages(self) -> tuple[str, ...]:
        """As `Network.stages`: none, since only the output can be read."""
        return ()


def find(path: str, preprocessing: Preprocessing | dict | None = None) -> Network:
    """The network in a file or folder.

    Parameters
    ----------
    path : str
        A file of any kind that `Kind` lists. If it does not exist, a file of the same
        name in the folder of torch's checkpoints is used.
    preprocessing : Preprocessing or dict, optional
        How images are prepared; a dict has the keys that `preparation` describes.
        The default is in a JSON or TOML file of the same name beside it.

    Raises
    ------
    ModelError
        When the file is missing or of another kind, or it is not known how
        images are prepared.
    """
    if not (os.path.isabs(path) or ntpath.isabs(path)):
        path = os.path.abspath(path)
    weights = FileWeights(path)
    found = weights.ensure(ntpath.basename(path))
    kind = find_kind(found)
    if kind.has_architecture:
        return _find_weights(path, found, kind, preprocessing)
    preparation = _find_preparation(found, kind, preprocessing)
    what = kind.text
    return NetworkFile(
        id=path,
        name=ntpath.basename(path),
        description=f"{what[0].upper()}{what[1:]}, from a file.",
        input_size=preparation.preprocessing.size,
        weights=weights,
        preprocessing=preparation.preprocessing,
        classes=preparation.classes,
        kind=kind,
        n_classes=preparation.n_classes,
        cpu_only=not kind.runs_code,
        compiles=not kind.runs_code,  # what code does may depend on the image
    )


def _find_weights(path, found, kind, preprocessing) -> Network:
    given = None
    if isinstance(preprocessing, Preprocessing):
        given, preprocessing = preprocessing, None
    values, where = _read_values(found, preprocessing)
    if kind is Kind.TIMM:
        _refuse_architecture(values, where, found, kind)
        return timm_folder.find(path, found, given, values or {}, where)
    if values is None:
        raise ModelError(
            f"Which architecture are the weights in {found} for? Write it in "
            f"{_file_names(found)}. {WEIGHTS_HELP} (A whole network saved by "
            "torch.save can run code and is not opened.)"
        )
    return known_architecture.find(path, values, given, where)


def _find_preparation(found, kind, preprocessing) -> Preparation:
    if isinstance(preprocessing, Preprocessing):
        return Preparation(preprocessing)
    values, where = _read_values(found, preprocessing)
    if values is None:
        raise ModelError(
            f"How are images prepared for {found}? Write it in {_file_names(found)}. "
            f"{HELP}"
        )
    _refuse_architecture(values, where, found, kind)
    return prepare(values, where)


def _read_values(found, given) -> tuple[dict | None, str]:
    """The description of a network (None if there is none) and its place."""
    if given is not None:
        where = f"Preparation for {os.path.basename(found)}"
        check_values(given, where)
        return dict(given), where
    values = read_preparation(found)
    return values, find_preparation(found)[0] if values is not None else ""


def _refuse_architecture(values, where, found, kind) -> None:
    if values and "architecture" in values:
        raise ModelError(
            f"{where} names an architecture, but {found} is {kind.text}: "
            "remove architecture."
        )


def _file_names(found: str) -> str:
    stem = stem_of(found)
    return f"a file {stem}.json or {stem}.toml"
