"""Functions for widgets that work in a thread."""

import concurrent.futures


def end_task(widget, seconds: float = 1):
    """Cancel a widget's task when the widget is deleted, and wait briefly for its end.

    Unlike the mixin's `shutdown`, this does not wait for a thread that is blocked, for
    example by a network drive or by the import of a large library.

    Parameters
    ----------
    widget : ConcurrentWidgetMixin
    seconds : float
        The longest to wait.
    """
    state = widget.task
    widget.cancel()
    if state is not None:
        concurrent.futures.wait([state.future], timeout=seconds)
