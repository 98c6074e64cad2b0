"""The graph of a torch.export program, checked before torch opens it."""

from __future__ import annotations

import json
import re

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.archives import (
    FORBIDDEN_OPERATIONS,
    say_unknown,
)
from orangecontrib.imageanalytics.networks.files.expressions import (
    SYMBOL,
    is_plain_arithmetic,
)

# torch evaluates or executes text made from most of the strings in a graph.
IDENTIFIER = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,500})?")
QUALIFIED = re.compile(r"[A-Za-z0-9_.\-]{0,1000}")
PLAIN_TEXT = re.compile(r"[ -~]{0,1000}")  # is quoted wherever it is used
# Emptied: places in source code, names of classes, and conditions as source code.
DROPPED = {"metadata": {}, "guards_code": [], "treespec_namedtuple_fields": {}}
CUSTOM = ("as_custom_obj", "custom_obj", "custom_obj_name", "class_fqn")
EVALUATED = ("expr_str", "target", "as_operator", "in_spec", "out_spec")
OPERATORS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|abs|eq|ne|lt|le|gt"
    r"|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.sym_(int|float|ite|max|min|not|sqrt|sum)"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
)
ATEN = re.compile(r"torch\.ops\.(aten|prims)\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")


def clean_json(content: bytes) -> bytes:
    """A program or a list of tensors, written anew without what is not needed."""
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is damaged: {error}") from error
    return json.dumps(_clean(value, "")).encode()


def _clean(value, key):
    if isinstance(value, dict):
        return {name: _clean_entry(name, value[name]) for name in value}
    if isinstance(value, list):
        return [_clean(item, key) for item in value]
    if isinstance(value, str):
        if key not in TEXTS:
            raise ModelError(f"is damaged: {key or 'the program'} is a text")
        TEXTS[key](value)
    return value


def _clean_entry(key, value):
    if key in DROPPED:
        return DROPPED[key]
    if key in CUSTOM or (key == "custom_obj_values" and value):
        raise ModelError("uses a custom object: it is refused")
    if key in EVALUATED and not isinstance(value, str):
        raise ModelError(f"is damaged: {key} is no text")
    if not QUALIFIED.fullmatch(key):
        raise ModelError(f"is damaged: the name {_quote(key)} is none")
    if key == "constant_input" or (
        key == "inputs" and any("as_string" in item for item in value)
    ):
        raise ModelError("takes more than pictures as its input")
    if key == "range_constraints":
        for symbol in value:
            _match(SYMBOL)(symbol)
    if key == "module_call_graph":
        value = [entry for entry in value if entry.get("fqn") == ""]
    if key == "device" or key == "as_device":
        # What was exported on a GPU runs on the CPU too.
        return {"type": "cpu", "index": None}
    return _clean(value, key)


def _quote(text: str) -> str:
    return repr(text[:80])


def _match(pattern):
    def check(text):
        if not pattern.fullmatch(text):
            raise ModelError(f"is refused: {_quote(text)} is not a plain name")

    return check


def _check_operator(target: str) -> None:
    """Refuse what is not one of PyTorch's own operations that only compute."""
    import torch

    if OPERATORS.fullmatch(target):
        return
    match = ATEN.fullmatch(target)
    if match and match[2] not in FORBIDDEN_OPERATIONS:
        packet = getattr(getattr(torch.ops, match[1]), match[2], None)
        if isinstance(getattr(packet, match[3], None), torch._ops.OpOverload):
            return
    raise ModelError(say_unknown(target))


def _check_treespec(text: str) -> None:
    """Refuse inputs and outputs of other types than PyTorch's own containers.

    torch would import the modules that some types name.
    """
    try:
        _, spec = json.loads(text)
        _check_spec(spec)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError("is damaged: its inputs or outputs are unknown") from error


def _check_spec(spec):
    kind, context = spec["type"], spec["context"]
    if kind not in (
        None,
        "builtins.tuple",
        "builtins.list",
        "builtins.dict",
        "collections.OrderedDict",
    ):
        raise ModelError(
            f"takes or gives a {_quote(str(kind))}; only tensors, lists, tuples and "
            "dictionaries of them are read"
        )
    # Names of dictionary entries become those of arguments in source code.
    names = None if context is None else json.loads(context)
    if names is not None:
        if not isinstance(names, list):
            raise ModelError("is damaged: its inputs or outputs are unknown")
        for name in names:
            _match(IDENTIFIER)(name)
    for child in spec["children_spec"]:
        _check_spec(child)


def _check_expression(text: str) -> None:
    if not is_plain_arithmetic(text):
        raise ModelError(f"is refused: {_quote(text)} is not plain arithmetic")


def _check_infinity(text: str) -> None:
    """JSON has no numbers for these."""
    if text not in ("Infinity", "-Infinity", "NaN"):
        raise ModelError(f"is damaged: {_quote(text)} is not a number")


TEXTS = {
    "name": _match(IDENTIFIER),
    "as_name": _match(IDENTIFIER),
    "forward_arg_names": _match(IDENTIFIER),
    "user_input_name": _match(IDENTIFIER),
    "path_name": _match(IDENTIFIER),
    "parameter_name": _match(QUALIFIED),
    "buffer_name": _match(QUALIFIED),
    "tensor_constant_name": _match(QUALIFIED),
    "fqn": _match(QUALIFIED),
    "torch_version": _match(PLAIN_TEXT),
    "verifiers": _match(IDENTIFIER),
    "as_string": _match(PLAIN_TEXT),
    "as_strings": _match(PLAIN_TEXT),
    "as_float": _check_infinity,
    "as_floats": _check_infinity,
    "target": _check_operator,
    "as_operator": _check_operator,
    "in_spec": _check_treespec,
    "out_spec": _check_treespec,
    "expr_str": _check_expression,
}
