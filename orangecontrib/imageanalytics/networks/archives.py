"""Files of networks made harmless before torch opens them.

``torch.export.load`` unpickles what a file tells it to, evaluates expressions and
executes source code that it makes from names in the file; TorchScript may read and
write files. So what torch gets here is never the file itself but an archive made
from those parts of it that are known to be plain. Whatever is not known is refused.
"""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import pickletools
import re
import zipfile
import zlib

from orangecontrib.imageanalytics.errors import ModelError

# Code of TorchScript is compressed; all else torch stores as it is.
MAX_INFLATED = 64 * 10**6
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)
EXPORT_HINT = "export it with torch.export.save"

# -- Archives --------------------------------------------------------------------


def read_members(content: bytes) -> dict[str, bytes]:
    """Contents of an archive by name.

    Raises
    ------
    ModelError
        When it is none, damaged, or grows enormously when unpacked.
    """
    members = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_sizes(infos, len(content))
            for info in infos:
                if info.filename in members:
                    raise ModelError(f"holds {info.filename} twice")
                with archive.open(info) as member:
                    # No more than it says, whatever it would inflate to.
                    members[info.filename] = member.read(info.file_size)
    except DAMAGED as error:
        raise ModelError(f"is damaged: {error}") from error
    return members


def _check_sizes(infos, n_bytes: int) -> None:
    stored = [i for i in infos if i.compress_type == zipfile.ZIP_STORED]
    inflated = [i for i in infos if i.compress_type == zipfile.ZIP_DEFLATED]
    if len(stored) + len(inflated) < len(infos):
        raise ModelError("is compressed in a way that PyTorch does not read")
    if sum(info.file_size for info in inflated) > MAX_INFLATED:
        raise ModelError("would grow enormously when unpacked")
    if sum(info.file_size for info in stored) > n_bytes:
        raise ModelError("is damaged: its parts are longer than the file")


def _write_members(members: dict[str, bytes]) -> io.BytesIO:
    """An archive that torch reads as we have read it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    stream.seek(0)
    return stream


def _without_root(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same by names inside the one folder in which torch puts everything."""
    roots = {name.partition("/")[0] for name in members}
    if len(roots) != 1:
        raise ModelError("is damaged: not everything in it is in one folder")
    return {name.partition("/")[2]: content for name, content in members.items()}


def _is_torchscript(names) -> bool:
    inner = {name.partition("/")[2] for name in names}
    return "constants.pkl" in inner and any(name.startswith("code/") for name in inner)


# -- Why a file is none that can be used -----------------------------------------


def explain_refusal(path: str) -> str:
    """Why a file that is no network for us is none, without unpickling it."""
    name = os.path.basename(path)
    try:
        with open(path, "rb") as file:
            return f"{name} {_describe(file.read(), os.path.splitext(path)[1].lower())}"
    except ModelError as error:
        return f"{name} {error}."
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


WITHOUT_NETWORK = (
    "holds weights without a network. Build the network in Python, load the weights "
    "into it and export it with torch.export.save."
)


def _describe(content: bytes, ending: str) -> str:
    if ending in (".safetensors", ".h5"):
        return WITHOUT_NETWORK
    if content[:2] == b"PK":
        members = read_members(content)
        if _is_torchscript(members):
            return "holds TorchScript: give it the ending .pt."
        if _is_program(members):
            return "holds a torch.export program: give it the ending .pt2."
        pickles = [c for name, c in members.items() if name.endswith("/data.pkl")]
        if not pickles:
            return "is not a network: it is an archive of something else."
        content = pickles[0]
    elif content[:1] != b"\x80":
        return "is not a network."
    return _describe_pickle(content)


def _describe_pickle(content: bytes) -> str:
    # Before version 1.6 torch wrote three small pickles before that of the object.
    names, stream = [], io.BytesIO(content)
    try:
        for _ in range(4):
            names += pickled_names(stream)
    except ModelError:
        if not stream.tell():
            return "is not a network: it is damaged."
    others = [name for name in names if not _is_of_tensors(name)]
    if not others:
        return WITHOUT_NETWORK
    return (
        f"holds a pickled object ({others[0]}), which can only be opened with "
        "weights_only=False, which would run any code hidden in it; "
        f"{EXPORT_HINT}."
    )


def _is_of_tensors(name: str) -> bool:
    return bool(
        name == "collections.OrderedDict"
        or re.fullmatch(r"torch\._utils\._rebuild_\w+|torch\.\w+Storage", name)
        or re.fullmatch(r"torch\.(float|bfloat|int|uint|bool|half|long)\w*", name)
    )


def pickled_names(stream: io.BytesIO) -> list[str]:
    """What a pickle would import, found without unpickling it."""
    names, texts = [], []
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("GLOBAL", "INST"):
                names.append(argument.replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(argument, str):
                texts.append(argument)
    except Exception as error:  # of whatever kind: the bytes may be anything
        raise ModelError("is damaged: it holds no pickle") from error
    return names


# -- TorchScript -----------------------------------------------------------------

# Operations that reach beyond the network, to files and to other computers, have
# these names or are in other namespaces.
FORBIDDEN_OPERATIONS = frozenset(
    {"from_file", "save", "rpc_async", "rpc_sync", "rpc_remote"}
)
SCRIPT_NAMESPACES = ("aten", "prim", "prims", "quantized", "torchvision")
SCRIPT_CLASSES = ("quantized", "rnn")
SCRIPT_PARTS = re.compile(
    r"data\.pkl|constants\.pkl|version|byteorder|\.data/\w+"
    r"|(data|constants)/\d+|code/[\w./]+\.py"
)


def clean_torchscript(content: bytes) -> io.BytesIO:
    """The same network as an archive for ``torch.jit.load``.

    Raises
    ------
    ModelError
        When it is none, or could do more than compute.
    """
    if content[:2] != b"PK":
        raise ModelError(_describe(content, ".pt"))
    members = read_members(content)
    if not _is_torchscript(members):
        raise ModelError(_describe(content, ".pt"))
    members = _without_root(members)
    members = {n: c for n, c in members.items() if SCRIPT_PARTS.fullmatch(n)}
    for name, part in members.items():
        if name.endswith(".py"):
            _check_script(part)
        elif name.endswith(".pkl"):
            for pickled in pickled_names(io.BytesIO(part)):
                _check_script_class(pickled)
    return _write_members({f"network/{name}": c for name, c in members.items()})


def _check_script(code: bytes) -> None:
    """Refuse code that names what reaches beyond the network.

    A name cannot be written in any other way in TorchScript, so the text alone
    tells; it may be named in vain, such as by a comment, and is refused then too.
    """
    text = code.decode("utf-8")
    for name in re.findall(r"[A-Za-z_]\w*", text):
        if name in FORBIDDEN_OPERATIONS:
            raise ModelError(_say_unknown(name))
    for match in re.finditer(r"(?<![\w.])ops\b(\.(\w+)\.)?", text):
        if match[2] not in SCRIPT_NAMESPACES:
            raise ModelError(_say_unknown(match[2] or "ops"))
    # Whole names only: a part of one could be given another name and go on there.
    for match in re.finditer(r"\b__torch__((?:\.\w+)*)", text):
        if match[1] in ("", ".torch"):
            raise ModelError(_say_unknown(match[0]))
        _check_script_class(match[0])


def _check_script_class(name: str) -> None:
    match = re.match(r"__torch__\.torch\.classes\b\.?(\w*)", name)
    if match and match[1] not in SCRIPT_CLASSES:
        raise ModelError(_say_unknown(name))


def _say_unknown(name: str) -> str:
    return (
        f"uses '{name[:80]}', which is not one of the operations of PyTorch that "
        "only compute: it is refused"
    )


# -- torch.export programs -------------------------------------------------------

OLD_PROGRAM = "serialized_exported_program.json"
PROGRAM = "models/model.json"
WEIGHTS = ("data/weights/", "model_weights_config.json", "weight_")
CONSTANTS = ("data/constants/", "model_constants_config.json", "tensor_")
SAMPLES = "data/sample_inputs/model.pt"
COMPILED = ("data/aotinductor/", "data/executorch/", "data/mtia", "xl_model_weights/")
# As they are.
PLAIN_PARTS = re.compile(r"archive_format|archive_version|version|byteorder|\.data/\w+")


def _is_program(names) -> bool:
    return OLD_PROGRAM in names or any(n.endswith("/" + PROGRAM) for n in names)


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
    if not _is_program(members):
        raise ModelError(_describe(content, ".pt2"))
    if OLD_PROGRAM in members:
        return _write_members(_clean_old(members))
    members = _without_root(members)
    return _write_members({f"network/{n}": c for n, c in _clean_new(members).items()})


def _clean_old(members):
    """Of torch before 2.8: all weights and all constants in one pickle each."""
    parts = {OLD_PROGRAM: _clean_json(members[OLD_PROGRAM])}
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
    parts[PROGRAM] = _clean_json(members[PROGRAM])
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
    clean = _clean_json(_part(members, folder + config))
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


# -- The graph of a program ------------------------------------------------------

# torch evaluates or executes text made from most of the strings in a graph.
IDENTIFIER = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,500})?")
QUALIFIED = re.compile(r"[A-Za-z0-9_.\-]{0,1000}")
PLAIN_TEXT = re.compile(r"[ -~]{0,1000}")  # is quoted wherever it is used
SYMBOL = re.compile(r"(s|u|zf|zuf)\d{1,5}")
# Emptied: places in source code, names of classes, and conditions as source code.
DROPPED = {"metadata": {}, "guards_code": [], "treespec_namedtuple_fields": {}}
CUSTOM = ("as_custom_obj", "custom_obj", "custom_obj_name", "class_fqn")
OPERATORS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|abs|eq|ne|lt|le|gt"
    r"|ge|and_|or_|not_)"
    r"|math\.(ceil|floor|trunc|sqrt)"
    r"|torch\.sym_(int|float|ite|max|min|not|sqrt|sum)"
    r"|torch\.ops\.higher_order\.(cond|wrap_with_set_grad_enabled|wrap_with_autocast)"
)
ATEN = re.compile(r"torch\.ops\.(aten|prims)\.([A-Za-z0-9_]+)\.([A-Za-z0-9_]+)")


def _clean_json(content: bytes) -> bytes:
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
    raise ModelError(_say_unknown(target))


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


# As sympy writes an expression, in its two ways: s0 + 1, Add(Symbol('s0'), Integer(1)).
FUNCTIONS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv"
    "|CleanDiv|floor|ceiling|Abs|Eq|Ne|Equality|Unequality|StrictLessThan|LessThan"
    "|StrictGreaterThan|GreaterThan|And|Or|Not|Where|CeilToInt|FloorToInt|TruncToInt"
    "|RoundToInt|ToFloat|IntTrueDiv|FloatTrueDiv|ModularIndexing|Identity"
)
CONSTANTS_OF_SYMPY = re.compile("true|false|oo|int_oo")
ASSUMPTIONS = re.compile(
    "(non)?(positive|negative|zero)|integer|real|finite|extended_real"
)
NODES = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Load,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
)
MAX_EXPRESSION = 5000
MAX_POWER = 16
DOUBLE = 53  # bits of a float's mantissa


def _check_expression(text: str) -> None:
    """Refuse what is not plain arithmetic: sympy evaluates it as Python code."""
    refusal = ModelError(f"is refused: {_quote(text)} is not plain arithmetic")
    if len(text) > MAX_EXPRESSION or not re.fullmatch(r"[\w .,()+\-*/<>=&|~'%]+", text):
        raise refusal
    try:
        tree = ast.parse(text, mode="eval")
        plain = all(map(_is_plain, ast.walk(tree)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        plain = False
    if not plain:
        raise refusal


def _is_plain(node) -> bool:
    if isinstance(node, ast.Constant):
        return _is_plain_constant(node.value)
    if isinstance(node, ast.Name):
        return bool(
            FUNCTIONS.fullmatch(node.id)
            or CONSTANTS_OF_SYMPY.fullmatch(node.id)
            or SYMBOL.fullmatch(node.id)
        )
    if isinstance(node, ast.keyword):
        value = getattr(node.value, "value", None)
        if node.arg == "precision":
            return value == DOUBLE
        return isinstance(value, bool) and bool(ASSUMPTIONS.fullmatch(node.arg or ""))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small_power(node.left, node.right)
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and FUNCTIONS.fullmatch(node.func.id)):
            return False
        is_power = node.func.id == "Pow"
        return not is_power or (len(node.args) == 2 and _is_small_power(*node.args))
    return isinstance(node, NODES)


def _is_plain_constant(value) -> bool:
    if isinstance(value, str):  # Symbol('s0'), Float('0.5')
        return bool(SYMBOL.fullmatch(value) or re.fullmatch(r"[\d.]{1,40}", value))
    return isinstance(value, bool) or (
        isinstance(value, int | float) and abs(value) < 2**64
    )


def _is_small_power(base, exponent) -> bool:
    """Whether a symbol is raised to a small number: numbers could grow forever."""
    is_symbol = isinstance(base, ast.Name) or (
        isinstance(base, ast.Call) and getattr(base.func, "id", "") == "Symbol"
    )
    numbers = [n.value for n in ast.walk(exponent) if isinstance(n, ast.Constant)]
    return (
        is_symbol
        and len(numbers) == 1
        and isinstance(numbers[0], int)
        and abs(numbers[0]) <= MAX_POWER
    )


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
