"""Settings of older versions of Save Images."""

from orangecontrib.imageanalytics.widgets.saving.file_options import SIZE

# Settings of version 1 number formats and networks in these orders; of networks
# that there are no more, the input size remains.
OLD_FORMATS = ("png", "jpeg", "gif", "tiff", "pdf", "bmp", "eps", "ico")
OLD_SCALES = ("inception-v3", "squeezenet", "vgg16", "vgg19", 256, 64, 256)


def migrate(settings: dict, version: int | None) -> None:
    """Change settings of an older version into those of the present one, in place."""
    if version is None or version < 2:
        index = settings.pop("file_format_index", None)
        if index is not None:
            settings["format"] = _entry(OLD_FORMATS, index)
        index = settings.pop("scale_index", None)
        if index is not None:
            settings["fit"] = "stretch"
            settings.update(_old_scale(index))
        index = settings.pop("image_attr_current_index", None)
        settings["old_column_index"] = index
    elif version < 3:
        for old in ("width", "height"):
            if old in settings:
                settings[f"image_{old}"] = settings.pop(old)


def _entry(entries, index):
    """The entry of a number from old settings; the first if there is none."""
    known = isinstance(index, int) and 0 <= index < len(entries)
    return entries[index if known else 0]


def _old_scale(index) -> dict:
    scale = _entry(OLD_SCALES, index)
    if isinstance(scale, str):
        return {"scale_to": scale}
    return {"scale_to": SIZE, "image_width": scale, "image_height": scale}
