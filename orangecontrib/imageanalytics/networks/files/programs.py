"""Programs of torch.export and TorchScript, which can run code when they are opened.

They are opened as torch opens them, from bytes that the user has vouched for; see
`trust`.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.files.module import (
    OutputModule,
    describe,
    not_images,
)
from orangecontrib.imageanalytics.networks.quiet import QuietHere, ignore_deprecation

_LOADING = threading.Lock()
LOGGERS = (
    "torch.export",
    "torch.export.pt2_archive._package",
    "torch._export.serde.serialize",
)


def open_program(content: bytes) -> OutputModule:
    """Open a network that ``torch.export.save`` has written.

    Parameters
    ----------
    content : bytes
        Content for which the user has vouched.

    Raises
    ------
    ModelError
        When it does not take images. The message is the reason alone.
    Exception
        Any error that torch raises about damaged files.
    """
    # torch reads one program at a time.
    # It logs what it then raises, and that a program is of an older version.
    with _LOADING, QuietHere(*LOGGERS):
        program = torch.export.load(io.BytesIO(content))
        module = program.module()
    shape, dtype = _find_input(program)

    def move(device):
        from torch.export.passes import move_to_device_pass

        moved = move_to_device_pass(program, str(device))
        return _run_by(moved.module(), dtype)

    limits = _find_limits(program, shape[0])
    return OutputModule(_run_by(module, dtype), shape, *limits, move)


def open_script(content: bytes) -> OutputModule:
    """Open a TorchScript network, like `open_program`."""
    ignore_deprecation(r"`torch\.jit\.load` is ")
    # A network may switch gradients while it is read; this switches them back.
    with torch.no_grad():
        module = torch.jit.load(io.BytesIO(content), map_location="cpu").eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    dtypes = [p.dtype for p in module.parameters() if p.is_floating_point()]
    dtype = dtypes[0] if dtypes else torch.float32
    return OutputModule(
        _run_by(module, dtype), move=lambda device: _run_by(module.to(device), dtype)
    )


def _run_by(module, dtype: torch.dtype) -> Callable[[Tensor], object]:
    return lambda x: module(x.to(dtype))


def _find_input(program):
    """Shape and dtype of a program's only input."""
    names = program.graph_signature.user_inputs
    nodes = [node for node in program.graph.nodes if node.name in names]
    values = [node.meta.get("val") for node in nodes if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], Tensor):
        raise ModelError(f"takes {len(names)} inputs, not images alone")
    (value,) = values
    if value.ndim != 4 or not value.dtype.is_floating_point:
        raise not_images(describe(value))
    return value.shape, value.dtype


def _find_limits(program, n) -> tuple[int | None, int | None]:
    """The fewest and the most images that a program takes, if it says so."""
    limits = None
    if not isinstance(n, int):
        limits = program.range_constraints.get(n.node.expr)
    if limits is None:
        return None, None
    most = int(limits.upper) if limits.upper < 2**31 else None
    return int(limits.lower), most
