"""The graph of a torch.export program, checked before torch opens it."""

from __future__ import annotations

import json
import keyword
import re

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.archives import say_unknown
from orangecontrib.imageanalytics.networks.files.expressions import (
    SYMBOL,
    is_plain_arithmetic,
)
from orangecontrib.imageanalytics.networks.files.operations import only_computes

# torch evaluates or executes text made from most of the strings in a graph.
IDENTIFIER = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,500})?")
# A value by such a name would stand for something else in the code that torch makes:
# for the network, for what is called, for a constant.
TAKEN = frozenset(
    {"self", "torch", "operator", "_operator", "math", "getattr", "device", "inf"}
    | {"nan", "pytree", "fx_pytree", "NoneType", "builtins", *keyword.kwlist}
)
PART = re.compile(r"(submod|wrap_body)(_[0-9]{1,6})*")
QUALIFIED = re.compile(r"(?!.*(^|\.)__\w+__(\.|$))[A-Za-z0-9_.\-]{0,1000}")
PLAIN_TEXT = re.compile(r"[ -~]{0,1000}")  # is quoted wherever it is used
# Emptied: places in source code, names of classes, and conditions as source code.
DROPPED = {"metadata": {}, "guards_code": [], "treespec_namedtuple_fields": {}}
CUSTOM = ("as_custom_obj", "custom_obj", "custom_obj_name", "class_fqn")
FUNCTIONS = ("as_operator", "as_string_to_argument")
EVALUATED = ("expr_str", "target", "in_spec", "out_spec")
OPERATORS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|abs|eq|ne|lt|le|gt"
    r"|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.sym_(int|float|ite|max|min|not|sqrt|sum)"
)
ATEN = re.compile(r"torch\.ops\.(aten|prims)\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")
# Parts of a network under torch.no_grad() or torch.autocast(): where among their
# arguments the part is. All others are its input and plain settings.
WRAPPED = {
    "torch.ops.higher_order.wrap_with_set_grad_enabled": 1,
    "torch.ops.higher_order.wrap_with_autocast": 4,
}
SETTINGS = ("as_bool", "as_none", "as_scalar_type", "as_string")
VALUES = ("as_tensor", "as_tensors", "as_sym_int", "as_sym_ints", "as_int", "as_float")


def clean_json(content: bytes) -> bytes:
    """A program or a list of tensors, written anew without what is not needed."""
    try:
        value = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is damaged: {error}") from error
    return json.dumps(_clean(value, "")).encode()


def _clean(value, key):
    if isinstance(value, dict):
        if "inputs" in value and "target" in value:
            return _clean_node(value)
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
    if key in FUNCTIONS or key == "as_graph":  # but for those of _clean_node
        raise ModelError(f"uses a function as a value ({key}): it is refused")
    if key in EVALUATED and not isinstance(value, str):
        raise ModelError(f"is damaged: {key} is no text")
    if key in MAPS and isinstance(value, dict):
        return {name: _clean_value(key, name, value[name]) for name in value}
    if not QUALIFIED.fullmatch(key):
        raise ModelError(f"is damaged: the name {_quote(key)} is none")
    if key == "constant_input" or (
        key == "inputs" and any("as_string" in item for item in value)
    ):
        raise ModelError("takes more than images as its input")
    if key == "module_call_graph":
        value = [entry for entry in value if entry.get("fqn") == ""]
    if key == "device" or key == "as_device":
        # What was exported on a GPU runs on the CPU too.
        return {"type": "cpu", "index": None}
    return _clean(value, key)


def _clean_value(key, name, value):
    """What stands under a name that is not torch's but the network's."""
    MAPS[key](name)
    return _clean(value, "")


def _clean_node(node):
    """An operation with its arguments, whose names are those of the operation."""
    graph = WRAPPED.get(node["target"])
    inputs = [
        _clean_argument(entry, graph, position)
        for position, entry in enumerate(node["inputs"])
    ]
    rest = {key: value for key, value in node.items() if key != "inputs"}
    return {name: _clean_entry(name, rest[name]) for name in rest} | {"inputs": inputs}


def _clean_argument(entry, graph, position):
    _match(IDENTIFIER)(entry["name"])
    ((kind, value),) = entry["arg"].items()
    if graph is None:
        argument = _clean(entry["arg"], "arg")
    elif position == graph and kind == "as_graph":
        _match(PART)(value["name"])
        part = {"name": value["name"], "graph": _clean(value["graph"], "graph")}
        argument = {kind: part}
    elif kind in (SETTINGS if position < graph else VALUES) and position != graph:
        if kind == "as_string" and value not in ("cpu", "cuda"):
            raise ModelError(f"is refused: {_quote(value)} is not a kind of device")
        argument = _clean(entry["arg"], "arg")
    else:
        raise ModelError(f"uses {kind} in an unknown way: it is refused")
    rest = {key: _clean(entry[key], key) for key in entry if key == "kind"}
    return {"name": entry["name"], "arg": argument, **rest}


def _quote(text: str) -> str:
    return repr(text[:80])


def _match(pattern):
    def check(text):
        if not pattern.fullmatch(text):
            raise ModelError(f"is refused: {_quote(text)} is not a plain name")

    return check


def _check_name(text: str) -> None:
    """Refuse what could not be the name of a value in source code."""
    _match(IDENTIFIER)(text)
    if text in TAKEN or text.startswith("__"):
        raise ModelError(f"is refused: a value is named {_quote(text)}")


def _check_operator(target: str) -> None:
    """Refuse what is not one of PyTorch's own operations that only compute."""
    import torch

    if OPERATORS.fullmatch(target) or target in WRAPPED:
        return
    match = ATEN.fullmatch(target)
    if match and only_computes(match[2]):
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
            _check_name(name)
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
    "name": _check_name,
    "as_name": _check_name,
    "forward_arg_names": _check_name,
    "user_input_name": _check_name,
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
    "in_spec": _check_treespec,
    "out_spec": _check_treespec,
    "expr_str": _check_expression,
}
# Entries whose keys are names that the network gives.
MAPS = {
    "tensor_values": _check_name,
    "sym_int_values": _check_name,
    "sym_bool_values": _check_name,
    "sym_float_values": _check_name,
    "range_constraints": _match(SYMBOL),
    "config": _match(QUALIFIED),
    "opset_version": _match(IDENTIFIER),
}


def check_loaded(program) -> None:
    """Refuse a loaded program in which anything but operations is called.

    Parameters
    ----------
    program : torch.export.ExportedProgram

    Raises
    ------
    ModelError
        When it is: then the file hid it, in a way that is not known yet.
    """
    import torch

    for graph_module in program.graph_module.modules():
        for node in getattr(graph_module, "graph", torch.fx.Graph()).nodes:
            if node.op not in ("placeholder", "get_attr", "call_function", "output"):
                raise ModelError(f"is refused: it uses {_quote(node.op)}")
            _check_name(node.name)
            if node.op == "call_function":
                _check_call(node, graph_module)


def _check_call(node, graph_module) -> None:
    import torch

    target = node.target
    if isinstance(target, torch._ops.OpOverload):
        name = f"{target.namespace}.{target._opname}.{target._overloadname}"
        _check_operator(f"torch.ops.{name}")
    elif isinstance(target, torch._ops.HigherOrderOperator):
        index = WRAPPED.get(f"torch.ops.higher_order.{target.name()}")
        part = None if index is None else node.args[index]
        owned = getattr(part, "op", "") == "get_attr" and isinstance(
            graph_module._modules.get(part.target), torch.fx.GraphModule
        )
        if not owned:
            raise ModelError(say_unknown(target.name()))
    else:
        name = f"{target.__module__}.{target.__name__}"
        if not OPERATORS.fullmatch(name):
            raise ModelError(say_unknown(name))
