import os

import pytest

from orangecontrib.imageanalytics.widgets.utils import desktop


class Services:
    """Stands in for `QDesktopServices`."""

    opened = ()

    @classmethod
    def openUrl(cls, url):
        cls.opened = (*cls.opened, url.toString())
        return True


@pytest.fixture
def opened(monkeypatch):
    services = type("Services", (Services,), {})
    monkeypatch.setattr(desktop, "QDesktopServices", services)
    monkeypatch.setattr(desktop.sys, "platform", "linux")
    return lambda: services.opened


def test_open_image(opened, tmp_path):
    path = str(tmp_path / "a #1.png")
    assert desktop.open_image(path)
    assert desktop.open_image("https://example.org/b.png")
    assert opened() == (
        "file://" + path.replace("#", "%23"),
        "https://example.org/b.png",
    )


def test_show_in_folder(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    desktop.show_in_folder(os.path.join("sub", "a.png"))
    assert opened() == (f"file://{tmp_path}/sub",)
    desktop.show_in_folder("other/a.tar#member=in/b.jpg&bytes=0-99#page=2")
    assert opened()[-1] == f"file://{tmp_path}/other"
