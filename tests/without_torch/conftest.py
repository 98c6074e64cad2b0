"""These tests are for a Python that does not find torch; with torch, they fail."""

import importlib.util

import pytest
import widget_settings  # noqa: F401 (before widgets)


@pytest.fixture(autouse=True)
def no_torch():
    """Nothing of torch is found."""
    for package in ("torch", "torchvision"):
        assert importlib.util.find_spec(package) is None, f"{package} is installed"
