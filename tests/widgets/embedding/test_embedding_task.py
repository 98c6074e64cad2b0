import dataclasses
from types import SimpleNamespace

import pytest
from embedding_widget import FakeEmbedder

from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network
from orangecontrib.imageanalytics.widgets.embedding import embedding_task
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    Reporter,
    Task,
    duration,
    embed,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts


class State:
    """What a widget's thread has of it."""

    def __init__(self):
        self.said = []

    def is_interruption_requested(self):
        return False

    def set_status(self, text):
        self.said.append(text)

    def set_partial_result(self, result):
        pass

    def set_progress_value(self, percent):
        pass


@pytest.fixture
def run(monkeypatch):
    """A function that embeds with a network and options, and gives the result."""
    monkeypatch.setattr(embedding_task, "ImageEmbedder", FakeEmbedder)
    monkeypatch.setattr(FakeEmbedder, "made", [])
    domain = SimpleNamespace(attributes=())
    data = type("Data", (list,), {"domain": domain})("ab")

    def run_(network: Network, **options):
        choice = Choice(network.id)
        facts = Facts(choice, network, True, 0)
        monkeypatch.setattr(embedding_task, "look_up", lambda _: facts)
        return embed(
            Task(data=data, column=None, choice=choice, options=options), State()
        )

    return run_


def used():
    return FakeEmbedder.made[-1].options


def test_options_reach_the_embedder(run):
    options = {"layer": "logits", "fit": "pad", "intensity": "1:2"}
    result = run(find_network(DEFAULT), **options)
    assert used() == options
    assert (result.layer, result.missing_layer) == ("logits", "")


def test_no_class_scores_without_a_classifier(run):
    network = dataclasses.replace(find_network(DEFAULT), has_classifier=False)
    result = run(network, layer="logits")
    assert used()["layer"] is None
    assert result.missing_layer == "logits"


def test_layer_that_only_networks_with_words_have(run):
    result = run(find_network("clip-vit-b-32"), layer="joint")
    assert used()["layer"] == "joint"
    assert result.missing_layer == ""
    result = run(find_network(DEFAULT), layer="joint")
    assert used()["layer"] is None
    assert result.missing_layer == "joint"


def test_stage_that_there_is_not(run):
    result = run(find_network(DEFAULT), layer="features.99")
    assert used()["layer"] is None
    assert result.missing_layer == "features.99"
    assert "features.1" in result.stages


@pytest.mark.parametrize("classes, used_layer", [(("a",), "logits"), ((), None)])
def test_output_of_a_file(run, classes, used_layer):
    """Asked for, class scores are in columns with the names of the classes."""
    network = dataclasses.replace(
        find_network(DEFAULT), has_layers=False, classes=classes
    )
    result = run(network, layer="")
    assert used()["layer"] == used_layer
    assert result.missing_layer == ""


def test_download_is_shown(monkeypatch):
    monkeypatch.setattr(embedding_task, "STATUS_SECONDS", 0)
    state = State()
    reporter = Reporter("VGG-16", 6, state)
    reporter.downloading(0.25)
    reporter.megabytes = 553
    reporter.downloading(0.5)
    assert state.said == [
        "Downloading VGG-16: 25%",
        "Downloading VGG-16: 276 of 553 MB",
    ]


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (75, "1 min 15 s"),
        (1200, "20 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text
