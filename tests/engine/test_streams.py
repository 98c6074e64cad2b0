import pytest
import torch

from orangecontrib.imageanalytics.engine import streams


@pytest.mark.parametrize("is_old", [False, True])
def test_memory_is_released(monkeypatch, is_old):
    called = []

    def note(name):
        return lambda: called.append(name)

    monkeypatch.setattr(torch.cuda, "empty_cache", note("device"))
    monkeypatch.setattr(torch._C, "_host_emptyCache", note("host, old"), raising=False)
    if is_old:
        monkeypatch.delattr(torch.accelerator, "empty_host_cache", raising=False)
    else:
        monkeypatch.setattr(
            torch.accelerator, "empty_host_cache", note("host"), raising=False
        )
    streams.release_memory()
    assert called == ["device", "host, old" if is_old else "host"]
