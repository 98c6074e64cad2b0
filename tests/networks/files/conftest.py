"""Networks in files, and an empty memory of what was vouched for."""

import pytest
from network_files import Trap, export, make_network, script, trace


@pytest.fixture(autouse=True)
def _nothing_trusted(nothing_trusted):
    """In all tests here."""


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The same network as a program and as TorchScript."""
    folder = tmp_path_factory.mktemp("networks")
    model = make_network()
    return {
        "program": export(model, folder / "dynamic.pt2"),
        "fixed": export(model, folder / "fixed.pt2", n=3, dynamic=False),
        "traced": trace(model, folder / "traced.pt"),
        "scripted": script(model, folder / "scripted.pt"),
    }


@pytest.fixture
def trap(tmp_path):
    return Trap(str(tmp_path / "sprung"))
