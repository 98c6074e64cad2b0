import sys

import pytest

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.torch_library import (
    missing_torch,
    require_torch,
)


def test_it_is_there():
    assert missing_torch() == ""
    require_torch("Anything")


@pytest.mark.parametrize(
    ("package", "name"), [("torch", "PyTorch"), ("torchvision", "torchvision")]
)
def test_what_is_missing(package, name, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert missing_torch() == name
    message = f"A network needs {name}, .*: pip install torch torchvision"
    with pytest.raises(ModelError, match=message):
        require_torch("A network")
