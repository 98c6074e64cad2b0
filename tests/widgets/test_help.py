"""The help: that it is complete, as its sources say, and found by Orange."""

import importlib.util
import json
import os
import re
from importlib.metadata import EntryPoint

import pytest

from orangecontrib.imageanalytics import widgets
from orangecontrib.imageanalytics.networks.registry import NETWORKS

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, os.pardir))
DOC = os.path.join(ROOT, "doc")
HELP = os.path.join(os.path.dirname(os.path.dirname(widgets.__file__)), "help")


@pytest.fixture(scope="module")
def descriptions():
    from orangecanvas.registry import WidgetRegistry
    from orangewidget.workflow.discovery import WidgetDiscovery

    registry = WidgetRegistry()
    WidgetDiscovery(registry).process_category_package(widgets.__name__)
    return registry.widgets()


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def test_help_is_made_from_the_documentation():
    pytest.importorskip("markdown_it")
    path = os.path.join(ROOT, "scripts", "help_pages.py")
    spec = importlib.util.spec_from_file_location("help_pages", path)
    help_pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(help_pages)
    made = help_pages.pages()
    kept = {name: read(HELP, name) for name in os.listdir(HELP) if "html" in name}
    assert kept == made, "run scripts/help_pages.py"


def test_nothing_is_missing_in_help():
    images = set()
    for name in os.listdir(HELP):
        if name.endswith(".html"):
            links = re.findall(r'(?:href|src)="([^":]+)"', read(HELP, name))
            for link in links:
                file, _, place = link.partition("#")
                path = os.path.join(HELP, file or name)
                assert os.path.isfile(path), (name, link)
                assert not place or f' id="{place}"' in read(path), (name, link)
            images |= {os.path.basename(x) for x in links if x.startswith("images/")}
    assert set(os.listdir(os.path.join(HELP, "images"))) == images


def test_what_is_for_the_site_alone_is_not_in_help():
    for name in ("index", "gallery"):
        assert "{." in read(DOC, f"{name}.md")
        page = read(HELP, f"{name}.html")
        assert "{." not in page
        assert "Download" not in page
        assert 'href="index.html"' in page


def test_orange_finds_help(descriptions):
    from orangecanvas.help.manager import create_html_inventory_provider

    value = f"{widgets.__name__}:WIDGET_HELP_PATH"
    point = EntryPoint("html-index", value, "orange.canvas.help")
    provider = create_html_inventory_provider(point)
    for description in descriptions:
        url = provider.search(description)
        assert f"<h1>{description.name}</h1>" in read(url.toLocalFile())


def test_help_names_inputs_and_outputs(descriptions):
    for description in descriptions:
        name = description.name.lower().replace(" ", "-")
        page = read(HELP, f"{name}.html")
        for signal in (*description.inputs, *description.outputs):
            assert f"<li>{signal.name}: " in page


def test_help_lists_the_models():
    first, *_ = read(DOC, "models.md").split("\n## ")
    lines = [line for line in first.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows == [
        [
            f"`{network.id}`",
            network.name,
            str(network.n_features),
            f"{network.input_size} px",
            f"{network.megabytes:.0f} MB" if network.megabytes else "-",
            network.licence,
        ]
        for network in NETWORKS
    ]


def test_catalogue_of_widgets(descriptions):
    ((category, listed),) = json.loads(read(DOC, "widgets.json"))
    assert category == widgets.NAME
    assert listed == [
        {
            "text": description.name,
            "doc": description.name.lower().replace(" ", "-") + ".md",
            "icon": f"../{widgets.__name__.replace('.', '/')}/{description.icon}",
            "background": widgets.BACKGROUND,
            "keywords": description.keywords,
        }
        for description in sorted(descriptions, key=lambda d: d.priority)
    ]
    for widget in listed:
        assert os.path.isfile(os.path.join(DOC, widget["icon"]))
        assert os.path.isfile(os.path.join(DOC, widget["doc"]))
