"""The gallery of workflows: that it is complete, and that its workflows open."""

import importlib
import os
import re

import pytest
from orangecanvas.application.examples import list_workflows
from orangecanvas.scheme.readwrite import loads, parse_ows_stream

from orangecontrib.imageanalytics import tutorials

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
DOC = os.path.join(ROOT, "doc")
TUTORIALS = os.path.dirname(tutorials.__file__)
WORKFLOWS = os.path.join(DOC, "workflows")


def sections():
    """Title and text of each workflow's section."""
    with open(os.path.join(DOC, "gallery.md"), encoding="utf-8") as file:
        _, *parts = re.split(r"^### (?=.)", file.read(), flags=re.MULTILINE)
    return [part.partition("\n")[::2] for part in parts]


def paths_of_links(text, ending):
    links = re.findall(rf"\]\(([^)\s]+\.{ending})\)", text)
    return [os.path.normpath(os.path.join(DOC, link)) for link in links]


def read(path):
    with open(path, "rb") as file:
        return parse_ows_stream(file)


def test_all_workflows_are_in_the_gallery():
    files = [path for _, text in sections() for path in paths_of_links(text, "ows")]
    assert len(files) == len(set(files))
    folders = {TUTORIALS: list_workflows(tutorials), WORKFLOWS: os.listdir(WORKFLOWS)}
    assert {os.path.basename(path) for path in files} == {
        os.path.basename(name) for names in folders.values() for name in names
    }
    assert all(map(os.path.isfile, files))


@pytest.mark.parametrize("title, text", sections())
def test_section(title, text):
    (path,) = paths_of_links(text, "ows")
    workflow = read(path)
    assert workflow.title == title
    image, *_ = paths_of_links(text, "png")
    name = re.sub(r"^\d+-", "", os.path.basename(path)).replace(".ows", ".png")
    assert os.path.basename(image) == name
    assert os.path.isfile(image)
    ours = {
        node.name for node in workflow.nodes if "imageanalytics" in node.qualified_name
    }
    listed = re.search(r"^Widgets: (.*?)\.$", text, re.MULTILINE | re.DOTALL)[1]
    pages = re.findall(r"\[([^]]+)\]\(([\w-]+)\.md\)", listed)
    assert {" ".join(name.split()) for name, _ in pages} == ours
    for name, page in pages:
        assert page == " ".join(name.split()).lower().replace(" ", "-")


def signals(qualified_name, kind):
    """Names of a widget's inputs or outputs by their ids."""
    module, _, name = qualified_name.rpartition(".")
    widget = getattr(importlib.import_module(module), name)
    return {signal.id: signal.name for signal in widget.get_signals(kind)}


@pytest.mark.parametrize("title, text", sections())
def test_links_do_not_depend_on_the_language(title, text):
    """The ids are those of the signals, whose names may be translated."""
    workflow = read(*paths_of_links(text, "ows"))
    widgets = {node.id: node.qualified_name for node in workflow.nodes}
    for link in workflow.links:
        outputs = signals(widgets[link.source_node_id], "outputs")
        inputs = signals(widgets[link.sink_node_id], "inputs")
        assert outputs[link.source_channel_id] == link.source_channel
        assert inputs[link.sink_channel_id] == link.sink_channel


@pytest.mark.parametrize("name", sorted(os.listdir(WORKFLOWS)))
def test_workflow_without_photos(name, open_workflow):
    path = os.path.join(WORKFLOWS, name)
    workflow = read(path)
    widgets = open_workflow(path)
    assert len(widgets) == len(workflow.nodes)
    for node in workflow.nodes:
        widget = widgets[node.title]
        assert not [m for group in widget.message_groups[:1] for m in group.active]
        stored = loads(node.data.data, node.data.format) if node.data else {}
        stored.pop("__version__", None)
        assert {key: getattr(widget, key) for key in stored} == stored
