"""Weights in a file: read as tensors only, and fitted to their network."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from orangecontrib.imageanalytics.errors import ModelError, first_line

# Names of the weights in the checkpoints of training scripts. Averaged weights (EMA)
# come first, as in timm.
WRAPPERS = (
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
)
MOST_NAMED = 3
COUNTERS = "num_batches_tracked"  # which old files lack, and only training needs


def read_state(path: str) -> dict[str, Tensor]:
    """Read the tensors of a file by name, without what is wrapped around them.

    Parameters
    ----------
    path : str
        Path of a ``.safetensors`` file, or of one that ``torch.save`` has written.

    Raises
    ------
    ModelError
        When it cannot be read, or holds anything that is not plain data.
    """
    is_safe = path.lower().endswith(".safetensors")
    state = _read_safetensors(path) if is_safe else _read_pickle(path)
    tensors = _unwrap(state)
    if not tensors:
        raise ModelError(f"{path} holds no weights by name.")
    return tensors


def _read_safetensors(path: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # Not mapped into memory: truncating the file would crash the program.
        with open(path, "rb") as file:
            return load(file.read())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{path} is no file of safetensors, or is damaged: {first_line(error)}"
        ) from error


def _read_pickle(path: str):
    try:
        with open(path, "rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path} {_explain(str(error))}") from error
    except Exception as error:  # of whatever kind: the bytes may be anything
        raise ModelError(
            f"{path} is no file of weights, or is damaged: {first_line(error)}"
        ) from error


def _explain(text: str) -> str:
    """Why torch has not unpickled a file."""
    name = re.search(r"GLOBAL ([\w.]+)", text)
    if name is None and "nsupported" not in text:
        return "is no file of weights, or is damaged."
    what = f" ({name[1]})" if name else ""
    return (
        f"holds a pickled Python object{what}, which could hide any program, so it is "
        "not opened. Save the weights alone, with torch.save(network.state_dict()"
        ', "weights.pt"), or the network as ONNX.'
    )


def _unwrap(state) -> dict[str, Tensor]:
    while isinstance(state, Mapping):
        inner = (state[key] for key in WRAPPERS if key in state)
        inner = [value for value in inner if isinstance(value, Mapping) and value]
        if not inner:
            return {
                key: value
                for key, value in state.items()
                if isinstance(key, str) and isinstance(value, Tensor)
            }
        state = inner[0]
    return {}


def fit_state(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str
) -> dict[str, Tensor]:
    """Fit weights to the names and types of a network.

    Names may have a prefix, such as ``"module."``.

    Parameters
    ----------
    state : mapping of str to torch.Tensor
        From `read_state`.
    expected : mapping of str to torch.Tensor
        State dict of the network. The values are not used.
    where : str
        Names of the file and the network, for messages.

    Raises
    ------
    ModelError
        When names or shapes differ. The message lists what is missing, unknown or of
        another shape.
    """
    prefix = _find_prefix(state, expected, where)
    found = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    missing = [
        key for key in expected if key not in found and not key.endswith(COUNTERS)
    ]
    left_over = [key for key in found if key not in expected]
    if missing:  # what stands elsewhere may be that, by another name
        left_over += [key for key in state if not key.startswith(prefix)]
    misfits = [
        key for key in expected if key in found and _misfit(key, found, expected)
    ]
    if missing or left_over or misfits:
        shapes = [_describe_misfit(key, found, expected) for key in misfits]
        raise ModelError(f"{where}: {_list_problems(missing, left_over, shapes)}.")
    return {
        key: found[key].to(value.dtype) if key in found else torch.tensor(0)
        for key, value in expected.items()
    }


def _find_prefix(state, expected, where) -> str:
    """The prefix of nearly all names."""
    counts: Counter[str] = Counter()
    for key in state:
        starts = [0, *(match.end() for match in re.finditer(r"\.", key))]
        counts.update(key[:start] for start in starts if key[start:] in expected)
    # The empty one first: of equals it is meant.
    most = counts.most_common()
    if not most or counts[""] == most[0][1]:
        return ""
    best = [prefix for prefix, count in most if count == most[0][1]]
    if len(best) > 1:
        raise ModelError(
            f"{where}: it holds several networks ({_some(best)}); save one of them."
        )
    return best[0]


def _misfit(key, found, expected) -> bool:
    value, wanted = found[key], expected[key]
    is_plain = type(value) in (Tensor, torch.nn.Parameter)
    is_right = value.is_floating_point() == wanted.is_floating_point()
    is_here = not (value.is_meta or value.is_sparse or value.is_quantized)
    return not (is_plain and is_right and is_here) or value.shape != wanted.shape


def _describe_misfit(key, found, expected) -> str:
    value, wanted = found[key], expected[key]
    if value.shape == wanted.shape:
        return f"{key} ({str(value.dtype).removeprefix('torch.')})"
    return f"{key} ({_shape(value)} instead of {_shape(wanted)})"


def _list_problems(missing, left_over, misfits) -> str:
    problems = (
        ("missing:", missing),
        ("unknown:", left_over),
        ("of another shape:", misfits),
    )
    return "; ".join(f"{text} {_some(names)}" for text, names in problems if names)


def _some(names: Iterable[str]) -> str:
    names = [name if len(name) <= 80 else name[:77] + "..." for name in names]
    more = len(names) - MOST_NAMED
    text = ", ".join(
        name if name.isprintable() else repr(name) for name in names[:MOST_NAMED]
    )
    return f"{text} and {more} more" if more > 0 else text


def _shape(tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"
