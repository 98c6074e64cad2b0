"""TorchScript made harmless before torch opens it: it may not reach files."""

from __future__ import annotations

import io
import re

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.archives import (
    describe,
    is_torchscript,
    pickled_names,
    read_members,
    say_unknown,
    without_root,
    write_members,
)
from orangecontrib.imageanalytics.networks.files.operations import (
    REACHING,
    only_computes,
)

SCRIPT_NAMESPACES = ("aten", "prim", "prims", "quantized", "torchvision")
SCRIPT_CLASSES = ("quantized", "rnn")
SCRIPT_PARTS = re.compile(
    r"data\.pkl|constants\.pkl|version|byteorder|\.data/\w+"
    r"|(data|constants)/\d+|code/[\w./]+\.py"
)
OPERATION = re.compile(r"(?:= |^ *)(\w+)::(\w+)", re.MULTILINE)
GETATTR = re.compile(r'\bgetattr\([\w.()]+, "[^"\\\n]*"\)', re.ASCII)

# Where `save` and the like can only be names of variables: they are assigned to, or
# follow directly what no dot can come before.
VARIABLE = re.compile(
    r"^ +(?:save|from_file)(?= = )|(?:\(|, |return )(?:save|from_file)(?=[,)]|$)",
    re.MULTILINE,
)
DECLARED_OPS = re.compile(r"^ +ops(?= : )", re.MULTILINE)


def clean_torchscript(content: bytes) -> io.BytesIO:
    """The same network as an archive for ``torch.jit.load``.

    Raises
    ------
    ModelError
        When it is none, or could do more than compute.
    """
    if content[:2] != b"PK":
        raise ModelError(describe(content, ".pt"))
    members = read_members(content)
    if not is_torchscript(members):
        raise ModelError(describe(content, ".pt"))
    del content  # large
    members = without_root(members)
    members = {n: c for n, c in members.items() if SCRIPT_PARTS.fullmatch(n)}
    for name, part in members.items():
        if name.endswith(".py"):
            _check_script(part)
        elif name.endswith(".pkl"):
            for pickled in pickled_names(io.BytesIO(part)):
                _check_script_class(pickled)
    return write_members(members, "network/")


def _check_script(code: bytes) -> None:
    """Refuse code that names what reaches beyond the network.

    Names are written as they are in TorchScript, other than in strings, so the text
    alone tells. It may be named in vain, as by a comment, and is refused then too.
    """
    text = code.decode("utf-8")
    _check_getattr(text)
    text = DECLARED_OPS.sub(" ", VARIABLE.sub(" ", text))
    for name in re.findall(r"[A-Za-z_]\w*", text, re.ASCII):
        if name in REACHING:
            raise _refuse_name(name)
    for match in re.finditer(r"(?<![\w.])ops\b(\.(\w+)\.)?", text, re.ASCII):
        if match[2] is None:
            raise _refuse_name("ops")
        if match[2] not in SCRIPT_NAMESPACES:
            raise ModelError(say_unknown(match[2]))
    # Whole names only: a part of one could be given another name and go on there.
    for match in re.finditer(r"\b__torch__((?:\.\w+)*)", text, re.ASCII):
        if match[1] in ("", ".torch"):
            raise ModelError(say_unknown(match[0]))
        _check_script_class(match[0])


def _check_getattr(text: str) -> None:
    """Refuse names in strings that are not written as they are."""
    n_found = 1
    while n_found:  # from the innermost to the outermost
        text, n_found = GETATTR.subn("_", text)
    if re.search(r"\bgetattr\b", text, re.ASCII):
        raise ModelError(
            "uses 'getattr' with a name that is not in plain ASCII characters: it is "
            "refused. If it is a part of the network, rename that"
        )


def _refuse_name(name: str) -> ModelError:
    return ModelError(
        f"uses the name '{name}', by which PyTorch does more than compute: it is "
        "refused. If it is a part of the network, rename that"
    )


def _check_script_class(name: str) -> None:
    match = re.match(r"__torch__\.torch\.classes\b\.?(\w*)", name)
    if match and match[1] not in SCRIPT_CLASSES:
        raise ModelError(say_unknown(name))


def check_operations(module) -> None:
    """Refuse a loaded network that calls what `clean_torchscript` means to refuse.

    Parameters
    ----------
    module : torch.jit.ScriptModule

    Raises
    ------
    ModelError
        When it does: then its text hid them, in a way that is not known yet.
    """
    graph = str(module.inlined_graph)
    for namespace, name in OPERATION.findall(graph):
        if (
            namespace not in SCRIPT_NAMESPACES
            or name in REACHING
            or (namespace in ("aten", "prims") and not only_computes(name))
            or name == "CallMethod"  # of what is known only when it runs
        ):
            raise ModelError(say_unknown(f"{namespace}::{name}"))
