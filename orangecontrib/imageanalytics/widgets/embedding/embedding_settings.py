"""Settings of Image Embedding: where they are kept, and those of older versions."""

from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    as_settings,
    most_recent,
    read_choices,
)
from orangecontrib.imageanalytics.widgets.utils.checked_settings import (
    CheckedDomainContextHandler,
)

# Settings of version 1 number the networks in this order. Only the first four still
# exist; messages name the others.
OLD_NETWORKS = (
    "inception-v3",
    "squeezenet",
    "vgg16",
    "vgg19",
    "Painters",
    "DeepLoc",
    "openface",
)


class EmbeddingSettingsHandler(CheckedDomainContextHandler):
    """Shares the last networks among all widgets, but not with workflows.

    Workflows are passed on, so they only save the network that they use, and its place
    relative to the workflow. The defaults for new widgets only have absolute paths: the
    same relative path from another workflow would lead to another file.
    """

    def initialize(self, instance, data=None):
        """As in Orange; also tells the widget whether it has its own settings."""
        super().initialize(instance, data)
        instance.is_new = not data

    def pack_data(self, widget):
        """Settings to be saved with a workflow."""
        data = super().pack_data(widget)
        data["own_networks"] = widget.network_to_save()
        del data["last_dir"]
        return data

    @property
    def recent(self) -> list[Choice]:
        """The last networks that were chosen in any widget, the newest first."""
        return read_choices(self.defaults.get("own_networks"))

    def remember(self, choice: Choice, instead: Choice | None = None) -> None:
        """Put a network in front of the last ones."""
        self._set_recent(choice, *(c for c in self.recent if c != instead))

    def _set_recent(self, *choices):
        self.defaults["own_networks"] = as_settings(most_recent(*choices))

    def _prepare_defaults(self, widget):
        # The widget does not know the choices in others since it was made.
        recent = self.recent
        super()._prepare_defaults(widget)
        self._set_recent(*recent, *read_choices(widget.own_networks))


def is_known(model: str) -> bool:
    """Whether a setting names a network that exists or can be looked for."""
    choice = Choice(model)
    return bool(choice.is_listed or choice.family or choice.is_file)


def migrate(settings: dict, version: int | None) -> None:
    """Convert settings of an older version to those of the present one, in place."""
    if version is None or version < 2:
        number = settings.pop("cb_embedder_current_id", None)
        if number is not None:
            known = isinstance(number, int) and 0 <= number < len(OLD_NETWORKS)
            settings["embedder"] = (
                OLD_NETWORKS[number] if known else f"Network {number}"
            )
        settings["old_column_index"] = settings.pop("cb_image_attr_current_id", None)
