"""Programs of torch.export made harmless before torch opens them.

``torch.export.load`` unpickles what a file tells it to, evaluates expressions and
executes source code that it makes from names in the file. So what torch gets is never
the file itself but an archive made from those parts of it that are known to be plain.
Whatever is not known is refused.
"""

from __future__ import annotations

import io
import json
import pickle
import re

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.archives import (
    OLD_PROGRAM,
    PROGRAM,
    describe,
    is_program,
    read_members,
    without_root,
    write_members,
)
from orangecontrib.imageanalytics.networks.files.program_graph import clean_json

WEIGHTS = ("data/weights/", "model_weights_config.json", "weight_")
CONSTANTS = ("data/constants/", "model_constants_config.json", "tensor_")
SAMPLES = "data/sample_inputs/model.pt"
COMPILED = ("data/aotinductor/", "data/executorch/", "data/mtia", "xl_model_weights/")
# As they are.
PLAIN_PARTS = re.compile(r"archive_format|archive_version|version|byteorder|\.data/\w+")


def clean_program(content: bytes) -> io.BytesIO:
    """The same program as an archive for ``torch.export.load``.

    Without sample inputs, metadata and guards. On the CPU.

    Raises
    ------
    ModelError
        When it is none, or is not plain.
    """
    if content[:2] != b"PK":
        raise ModelError("is not a torch.export program")
    members = read_members(content)
    if not is_program(members):
        raise ModelError(describe(content, ".pt2"))
    del content  # large
    if OLD_PROGRAM in members:
        return write_members(_clean_old(members))
    members = without_root(members)
    return write_members({f"network/{n}": c for n, c in _clean_new(members).items()})


def _clean_old(members):
    """Of torch before 2.8: all weights and all constants in one pickle each."""
    parts = {OLD_PROGRAM: clean_json(members[OLD_PROGRAM])}
    parts["version"] = _part(members, "version")
    for name in ("serialized_state_dict.pt", "serialized_constants.pt"):
        parts[name] = _resave(_part(members, name), name)
    name = "serialized_example_inputs.pt"
    _check_samples(_part(members, name), name)
    return parts | {name: b""}


def _clean_new(members):
    for name in members:
        if name.startswith(COMPILED):
            raise ModelError(
                f"holds compiled machine code ({name}), which could do anything; "
                "save the program with torch.export.save without compiling it"
            )
        if name.startswith("models/") and name != PROGRAM:
            raise ModelError("holds several programs; save one with torch.export.save")
    parts = {n: c for n, c in members.items() if PLAIN_PARTS.fullmatch(n)}
    parts[PROGRAM] = clean_json(members[PROGRAM])
    _check_samples(_part(members, SAMPLES), SAMPLES)
    parts[SAMPLES] = b""
    for folder, config, prefix in (WEIGHTS, CONSTANTS):
        legacy = folder + "model.pt"
        if legacy in members:
            parts[legacy] = _resave(members[legacy], legacy)
        else:
            parts |= _clean_tensors(members, folder, config, prefix)
    return parts


def _clean_tensors(members, folder, config, prefix):
    """Weights or constants that lie in a part of the archive each."""
    clean = clean_json(_part(members, folder + config))
    parts = {folder + config: clean}
    pickled, raw = set(), set()
    for entry in json.loads(clean)["config"].values():
        name = entry["path_name"]
        if not name.startswith(prefix):
            raise ModelError(f"holds a custom object ({name}): it is refused")
        (pickled if entry["use_pickle"] is not False else raw).add(folder + name)
    if pickled & raw:
        raise ModelError(f"is damaged: {min(pickled & raw)} is of two kinds")
    parts |= {name: _part(members, name) for name in raw}
    return parts | {name: _resave(_part(members, name), name) for name in pickled}


def _part(members, name: str) -> bytes:
    if name not in members:
        raise ModelError(f"is damaged, or of a newer PyTorch: it lacks {name}")
    return members[name]


def _resave(content: bytes, name: str) -> bytes:
    """A pickle of tensors that we have written ourselves."""
    import torch

    tensors = _load_plain(content, name)
    values = tensors.values() if isinstance(tensors, dict) else [tensors]
    if not all(isinstance(value, torch.Tensor) for value in values):
        raise ModelError(f"holds more than tensors in {name}: it is refused")
    stream = io.BytesIO()
    torch.save(tensors, stream)
    return stream.getvalue()


def _check_samples(content: bytes, name: str) -> None:
    if content:
        _load_plain(content, name)


def _load_plain(content: bytes, name: str):
    """What is in a pickle, when that can be had without running code in it."""
    import torch

    if not content:
        return {}
    read_members(content)  # refuses one that grows enormously
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"holds a pickled object in {name}, which can only be opened with "
            "weights_only=False, which would run any code hidden in it; export the "
            "network again, with plain tensors only"
        ) from error
    except Exception as error:  # of whatever kind: the bytes may be anything
        raise ModelError(f"is damaged: {name} cannot be read") from error
