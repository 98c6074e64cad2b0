"""The network that Image Embedding uses, and the user's own networks."""

from collections.abc import Sequence

from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    as_settings,
    most_recent,
)

Places = Sequence[tuple[str, str]]  # names and folders that paths may start from


class ChosenNetwork:
    """
    The network in use, and the user's own networks that were used before.

    Only the file of the network in use is looked for: the drives of others may be slow.

    Parameters
    ----------
    model : str
        As for `find_network`.
    own : sequence of Choice
        What is known about networks that are not listed, the most recent first.
    places : sequence of (str, str), optional
        Folder of the workflow, if it names the network: a file may have moved with it.

    Attributes
    ----------
    choice : Choice
        The network in use.
    own : list of Choice
        The user's own networks, the most recent first.
    """

    def __init__(
        self, model: str, own: Sequence[Choice] = (), places: Places | None = None
    ):
        known = (choice for choice in own if choice.model == model)
        saved = next(known, Choice(model))
        self.choice = saved.absolute() if places is None else saved.relocated(places)
        others = (choice.absolute() for choice in own if choice is not saved)
        self.own = most_recent(self.choice, *others)

    def find(self, model: str) -> Choice:
        """What is known about a network in the list."""
        known = (choice for choice in self.own if choice.model == model)
        return next(known, Choice(model))

    def choose(self, choice: Choice) -> None:
        """Use another network."""
        self.choice = choice
        others = (other for other in self.own if other.model != choice.model)
        self.own = most_recent(choice, *others)

    def rename(self, choice: Choice) -> None:
        """Use the same network under another name or in another place."""
        self.own = most_recent(
            *(choice if other == self.choice else other for other in self.own)
        )
        self.choice = choice

    def own_as_settings(self) -> list[dict]:
        """The user's own networks, for all workflows."""
        return as_settings(self.own)

    def choice_as_settings(self, places: Places) -> list[dict]:
        """What a workflow has to save about the network in use, unless it is listed.

        Workflows are passed on, so they do not contain the user's other networks.
        """
        if self.choice.is_listed:
            return []
        return [self.choice.seen_from(places).as_settings()]
