"""Networks in files, and an empty memory of what was vouched for."""

import pytest
from network_files import Trap, export, make_network, script, trace

from orangecontrib.imageanalytics.networks.files import trust


@pytest.fixture(autouse=True)
def nothing_trusted(tmp_path, monkeypatch):
    """The folder in which it is kept what the user vouches for; it is missing."""
    folder = tmp_path / "user data"
    monkeypatch.setattr(trust, "user_data", lambda: str(folder))
    monkeypatch.setattr(trust, "_vouched", set())
    return folder


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
