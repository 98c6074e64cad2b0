"""An application for tests of widgets, and workflows as Orange opens them."""

import importlib
import os
import sys
import time

import pytest
import widget_settings  # noqa: F401 (before widgets)


@pytest.fixture(autouse=True)
def slot_errors(monkeypatch):
    """What was raised in slots, where nobody else would notice it."""
    errors = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: errors.append(error))
    yield errors
    assert not errors, [repr(error[1]) for error in errors]


@pytest.fixture(autouse=True)
def application(request):
    """An application for tests that are no methods of a `GuiTest`."""
    from orangewidget.tests.base import GuiTest

    if request.cls is not None and issubclass(request.cls, GuiTest):
        yield  # it has its own
        return
    GuiTest.setUpClass()
    yield
    GuiTest.tearDownClass()


@pytest.fixture
def until():
    """A function that processes events until a condition holds."""
    from AnyQt.QtTest import QTest

    def process_events(condition, timeout=20):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, f"not so within {timeout} s"
            QTest.qWait(5)

    return process_events


@pytest.fixture
def open_workflow(slot_errors):
    """A function that opens a workflow as Orange does and runs it to the end.

    It takes the path of the file, and gives a dictionary of the widgets by the
    titles of their nodes.
    """
    schemes = []

    def open_(path, timeout=240):
        scheme = _load(path)
        schemes.append(scheme)
        _process_events(lambda: _has_ended(scheme), timeout)
        return {node.title: scheme.widget_for_node(node) for node in scheme.nodes}

    yield open_
    for scheme in schemes:
        scheme.signal_manager.stop()
        scheme.clear()
        scheme.deleteLater()
    _process_events(lambda: True, 1)


def _load(path):
    from AnyQt.QtWidgets import QApplication
    from orangecanvas.scheme.readwrite import scheme_load
    from orangewidget.workflow.widgetsscheme import WidgetsScheme

    _load.application = QApplication.instance() or QApplication(["tests"])
    scheme = WidgetsScheme()
    scheme.widget_manager.set_creation_policy(scheme.widget_manager.Immediate)
    scheme.set_runtime_env("basedir", os.path.dirname(os.path.abspath(path)))
    with open(path, "rb") as file:
        scheme_load(scheme, file, registry=_registry(path))
    scheme.signal_manager.start()
    return scheme


def _registry(path):
    """Of the widgets in a workflow; to import all of Orange's takes long."""
    from orangecanvas.registry import CategoryDescription, WidgetRegistry
    from orangecanvas.scheme.readwrite import parse_ows_stream
    from orangewidget.tests.base import WidgetTest
    from orangewidget.workflow.discovery import WidgetDiscovery

    registry = WidgetRegistry()
    discovery = WidgetDiscovery(registry)
    discovery.handle_category(CategoryDescription(name="Any"))
    with open(path, "rb") as file:
        nodes = parse_ows_stream(file).nodes
    for module in {node.qualified_name.rpartition(".")[0] for node in nodes}:
        description = discovery.widget_description(module)
        description.category = "Any"
        registry.register_widget(description)
        # Widgets that were closed leave their settings to those made later.
        WidgetTest.reset_default_settings(_class(description.qualified_name))
    return registry


def _has_ended(scheme):
    manager = scheme.signal_manager
    busy = any(map(manager.is_invalidated, scheme.nodes))
    return not busy and not manager.has_pending()


def _process_events(until, timeout):
    from AnyQt.QtTest import QTest

    end = time.monotonic() + timeout
    while True:
        QTest.qWait(20)
        if until():
            break
        assert time.monotonic() < end, f"not done in {timeout} s"


def _class(qualified_name):
    module, _, name = qualified_name.rpartition(".")
    return getattr(importlib.import_module(module), name)
