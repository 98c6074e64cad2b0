"""Whether PyTorch is installed, which only some networks need; nothing is imported."""

import importlib.util

from orangecontrib.imageanalytics.errors import ModelError

#: How to install what is missing.
INSTALL = "pip install torch torchvision"
_PACKAGES = {"torch": "PyTorch", "torchvision": "torchvision"}


def missing_torch() -> str:
    """Name of the package without which torch cannot be used; empty if none is missing.

    Torchvision counts, too: its networks and its JPEG decoder are used with torch.
    """
    missing = (
        name
        for package, name in _PACKAGES.items()
        if importlib.util.find_spec(package) is None
    )
    return next(missing, "")


def without_torch(what: str) -> str:
    """Say that something needs what `missing_torch` names, and how to install it."""
    return f"{what} needs {missing_torch()}, which is not installed: {INSTALL}"


def require_torch(what: str) -> None:
    """
    Raises
    ------
    ModelError
        When torch is not installed. The message says that `what` needs it.
    """
    if missing_torch():
        raise ModelError(without_torch(what))
