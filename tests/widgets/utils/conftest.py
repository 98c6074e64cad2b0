"""An application, and a way to wait for threads."""

import time

import pytest


@pytest.fixture(autouse=True)
def application():
    """Kept for all tests, as Qt allows one only."""
    from orangewidget.tests.base import GuiTest

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
