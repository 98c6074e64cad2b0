from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.widgets.embedding.chosen_network import ChosenNetwork
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice

A, B, C = (Choice(f"timm:{letter}") for letter in "abc")


def test_listed():
    chosen = ChosenNetwork(DEFAULT, [A, B])
    assert chosen.choice == Choice(DEFAULT)
    assert chosen.own == [A, B]
    assert chosen.choice_as_settings([]) == []
    assert chosen.own_as_settings() == [{"model": "timm:a"}, {"model": "timm:b"}]


def test_the_one_in_use_comes_first():
    chosen = ChosenNetwork("timm:b", [A, B])
    assert chosen.own == [B, A]
    chosen.choose(C)
    assert chosen.choice == C and chosen.own == [C, B, A]
    chosen.choose(Choice("squeezenet"))
    assert chosen.own == [C, B, A]
    assert chosen.find("timm:a") == A
    assert chosen.find(DEFAULT) == Choice(DEFAULT)


def test_what_is_said_of_a_file_replaces_what_was_said():
    first, other = (Choice("/some/cells.pt", {"size": size}) for size in (8, 9))
    chosen = ChosenNetwork(first.model, [first, A])
    chosen.choose(other)
    assert chosen.choice == other and chosen.own == [other, A]


def test_another_name():
    chosen = ChosenNetwork("timm:b", [A, B])
    chosen.choose(A)
    pinned = Choice("timm:a.v1")
    chosen.rename(pinned)
    assert chosen.choice == pinned and chosen.own == [pinned, B]


def test_file_of_a_workflow(tmp_path):
    path = tmp_path / "cells.pt"
    path.touch()
    moved = Choice("/gone/cells.pt", None, "basedir", "cells.pt")
    places = [("basedir", str(tmp_path))]
    # New widgets look for nothing.
    assert ChosenNetwork(moved.model, [moved]).choice == Choice("/gone/cells.pt")
    chosen = ChosenNetwork(moved.model, [moved, A], places)
    assert chosen.choice == Choice(str(path))
    assert chosen.own == [chosen.choice, A]
    assert chosen.choice_as_settings(places) == [
        {"model": str(path), "prefix": "basedir", "relpath": "cells.pt"}
    ]
    assert chosen.own_as_settings()[0] == {"model": str(path)}
