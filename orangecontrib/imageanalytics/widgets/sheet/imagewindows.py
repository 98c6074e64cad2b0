"""What all widgets with a view of images have: windows, a menu and messages."""

from collections.abc import Iterable

from Orange.data import Variable
from Orange.widgets.settings import Setting
from Orange.widgets.widget import Msg

from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    column_intensity,
)
from orangecontrib.imageanalytics.widgets.preview.imagecompare import ImageCompare
from orangecontrib.imageanalytics.widgets.preview.imagepreview import ImagePreview
from orangecontrib.imageanalytics.widgets.sheet.imageactions import (
    CANNOT_COPY,
    CANNOT_OPEN,
    ImageActions,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import ThumbnailLoader
from orangecontrib.imageanalytics.widgets.sheet.unshown import (
    NO_IMAGES_SHOWN,
    UnshownWarning,
)


class ImageWarnings:
    """The messages of `ImageWindowsMixin`; a base of the widget's `Warning`."""

    no_images_shown = Msg(NO_IMAGES_SHOWN)
    cannot_open = Msg(CANNOT_OPEN)
    cannot_copy = Msg(CANNOT_COPY)


class ImageWindowsMixin:
    """
    For widgets with a view of images: its loader, preview, window to compare and menu.

    The widget has the view in the attribute `view`, and `ImageWarnings` among its
    warnings.
    """

    #: Whether the preview lists the values of the image.
    show_details: bool = Setting(True)

    def make_loader(self) -> None:
        """Make what loads the images, before there is a view."""
        self.loader = ThumbnailLoader(self)
        self.unshown = UnshownWarning(self.loader, self.Warning)

    def make_windows(self) -> None:
        """Make the windows and the menu, once there is a view."""
        self.compare = ImageCompare(self.view)
        self.preview = ImagePreview(self.view, self.compare)
        self.preview.set_details_shown(bool(self.show_details))
        self.preview.details_toggled.connect(self._on_details_toggled)
        self.image_actions = ImageActions(
            self.view, self.preview, self.compare, self.Warning
        )

    def _on_details_toggled(self, shown: bool) -> None:
        self.show_details = shown

    def show_images_of(
        self, column: Variable | None, sources: Iterable[str | None]
    ) -> None:
        """
        Say whose images are shown from now on, before they are.

        Parameters
        ----------
        column, sources
            As for `UnshownWarning.expect`.
        """
        self.unshown.expect(column, sources)
        self.Warning.cannot_open.clear()
        self.Warning.cannot_copy.clear()

    @staticmethod
    def intensity_of(column: Variable | None) -> Intensity:
        """The intensity range with which Image Embedding has seen a column's images."""
        return AUTOMATIC if column is None else column_intensity(column)

    def close_windows(self) -> None:
        """Close the windows permanently, and stop loading."""
        self.preview.shutdown()
        self.compare.shutdown()
        self.loader.close()
        self.image_actions.close()
