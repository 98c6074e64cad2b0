"""Choose the processor that runs the network."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.networks.torch_library import (
    missing_torch,
    without_torch,
)

AUTOMATIC = "auto"
PRECISIONS = ("float32", "float16", "bfloat16")
#: Devices that only OpenVINO supports, with OpenVINO's names for them. Nobody has
#: measured them yet, so they are only used on request.
OPENVINO_DEVICES = {"intel-gpu": "GPU", "intel-npu": "NPU"}
MOST_WORKERS = 16  # more of them wait for Python's lock


def choose_device(device: str = "auto"):
    """Choose the device to run on.

    Parameters
    ----------
    device : str
        ``"auto"``: the first CUDA GPU that works, then Apple's (MPS), then the
        CPU. Anything else is a name in torch: ``"cpu"``, ``"cuda:1"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        When torch knows no such device, it is not in this computer, or torch is not
        installed.
    """
    if missing_torch():
        raise ValueError(without_torch(f"The device '{device}'"))
    import torch

    if device == "auto":
        candidates = ("cuda", "mps")
        usable = (name for name in candidates if _problem(torch.device(name)) is None)
        return torch.device(next(usable, "cpu"))
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"'{device}' is not a device: {error}") from error
    if problem := _problem(chosen):
        raise ValueError(f"The device '{device}' cannot be used: {problem}")
    return chosen


def _problem(device) -> str | None:
    """Why nothing can be computed on a device; None if it works."""
    import torch

    if device.type == "cpu":
        return None
    if device.type == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA GPU with a working driver"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "torch finds no Apple GPU"
    try:
        # A driver that is too old, or a GPU that torch was not built for, shows
        # only when something is computed.
        torch.ones(1, device=device).add(1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        return first_line(error)
    return None


def describe_device(device) -> str:
    """A device's name as shown to users: ``"CPU"``, ``"NVIDIA H100 (cuda:0)"``."""
    import torch

    if device.type == "cuda":
        index = device.index or 0
        return f"{torch.cuda.get_device_name(device)} (cuda:{index})"
    return {"cpu": "CPU", "mps": "Apple GPU (mps)"}.get(device.type, str(device))


def may_have_gpu() -> bool:
    """Whether torch may find a GPU; asks the drivers, since torch takes seconds."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.path.exists("/dev/kfd"):  # AMD's, which torch calls CUDA, too
        return True
    try:
        if sys.platform == "win32":
            driver = ctypes.WinDLL("nvcuda.dll")
        else:
            driver = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int()
        found = not driver.cuInit(0) and not driver.cuDeviceGetCount(
            ctypes.byref(count)
        )
    except (OSError, AttributeError):
        return False
    return found and count.value > 0


def check_precision(precision: str | None) -> None:
    """
    Raises
    ------
    ValueError
        When it is neither None nor one of `PRECISIONS`.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(
            f"'{precision}' is not a precision, should be one of: "
            + ", ".join(PRECISIONS)
        )


def choose_precision(precision: str | None, device) -> str:
    """The precision for torch: half on a GPU, single on the CPU, or as requested.

    Raises
    ------
    ValueError
        When `precision` is none of `PRECISIONS`.
    """
    check_precision(precision)
    if precision is None:
        return "float32" if device.type == "cpu" else "float16"
    return precision


def processors() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Windows and macOS
        return os.cpu_count() or 1


_limit: int | None = None  # see limit_workers


def workers() -> int:
    """The number of threads that share the images."""
    return min(_limit or processors(), MOST_WORKERS)


def limit_workers(number: int) -> None:
    """Let this process use fewer threads than there are processors.

    It applies to networks that are loaded afterwards. Processes that share a computer
    call it, so that together they use each processor once.
    """
    global _limit
    _limit = number
