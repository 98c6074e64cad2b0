"""What the controls of the options of embedding have in common."""

from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice, Facts


class OptionControl:
    """
    A mixin for the widgets with which options are chosen.

    Each has a signal ``chosen``, emitted with the new value when the user has changed
    it, and a property ``text``, the value in words. Values are strings, as they are
    saved in settings.
    """

    def set_value(self, value: str) -> None:
        """Show a value without emitting signals."""
        raise NotImplementedError

    def show_network(self, choice: Choice, facts: Facts | None) -> None:
        """Adapt the choices and the default to the network.

        Parameters
        ----------
        choice : Choice
        facts : Facts or None
            None until it is looked up.
        """

    def stop(self) -> None:
        """Ignore the results of running threads."""
