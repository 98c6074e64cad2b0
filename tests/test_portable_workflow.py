import importlib.util
import os

import pytest
from orangecanvas.scheme.readwrite import dumps, loads
from orangewidget.utils.filedialogs import RecentPath

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture
def script():
    path = os.path.join(ROOT, "scripts", "portable_workflow.py")
    spec = importlib.util.spec_from_file_location("portable_workflow", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_folders_beside_the_workflow_remain(script):
    recent = [
        RecentPath("/home/ana/cats", "basedir", "cats"),
        RecentPath("/elsewhere/dogs", None, None),
        RecentPath("/home/ana/foxes", "basedir", "foxes"),
        RecentPath("/home/ana/old", "basedir", "old"),
    ]
    text, _ = dumps({"recent_paths": recent, "n_folders": 3}, "pickle")
    workflow = f'<properties node_id="0" format="pickle">{text}</properties>'
    made = script.portable(workflow)
    properties = loads(script.PROPERTIES.search(made)[3], "pickle")
    assert [path.relpath for path in properties["recent_paths"]] == [
        "cats",
        "foxes",
        "old",
    ]
    assert {path.abspath for path in properties["recent_paths"]} == {""}
    assert properties["n_folders"] == 2


def test_examples_beside_the_workflow_remain(script):
    examples = [
        ("/home/ana/cats/cat.jpg", "basedir", "cats/cat.jpg"),
        ("/elsewhere/dog.jpg", "", ""),
    ]
    text, _ = dumps({"examples": examples}, "literal")
    workflow = f'<properties node_id="0" format="literal">{text}</properties>'
    properties = loads(
        script.PROPERTIES.search(script.portable(workflow))[3], "literal"
    )
    assert properties["examples"] == [("", "basedir", "cats/cat.jpg")]
