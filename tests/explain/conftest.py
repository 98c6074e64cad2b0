import pytest
from explaining import ColourRunner


@pytest.fixture
def colours(monkeypatch):
    """Networks that see colours; those that were made."""
    from orangecontrib.imageanalytics.engine import runner

    made = []

    def choose(spec, *_):
        made.append(ColourRunner(spec))
        return made[-1]

    monkeypatch.setattr(runner, "choose_runner", choose)
    return made
