"""Settings of Find Images as they are saved with workflows."""

from orangecontrib.imageanalytics.widgets.embedding.embedding_settings import (
    EmbeddingSettingsHandler,
)


class FindSettingsHandler(EmbeddingSettingsHandler):
    """Workflows contain where examples lie relative to them, too."""

    def pack_data(self, widget):
        """Settings to be saved with a workflow."""
        data = super().pack_data(widget)
        data["examples"] = widget.examples_to_save()
        return data
