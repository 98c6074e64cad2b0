"""Screenshots of Load Vectors, for looks.py."""

import os
from unittest import mock

from screenshots import discard, made


def take_load_vectors(looks, folder: str):
    """Take Load Vectors, in all of its states."""
    from Orange.widgets.utils.filedialogs import RecentPath  # noqa: TID251

    from orangecontrib.imageanalytics.output_file import OutputFile
    from orangecontrib.imageanalytics.widgets.owloadvectors import OWLoadVectors
    from orangecontrib.imageanalytics.widgets.vectors import loading_task

    if not looks.wanted("vectors"):
        return

    def shoot(name, path, **settings):
        if path is not None:
            settings["recent_paths"] = [RecentPath.create(path, [])]
        widget = made(OWLoadVectors, settings)
        looks.shoot(widget, f"vectors-{name}", lambda: widget.task is None)
        discard(widget)

    saved = os.path.join(folder, "embedded")
    os.mkdir(saved)
    file = os.path.join(saved, "photos.parquet")
    OutputFile(file).write(looks.vectors)
    lost = looks.states(looks.vectors)["lost"]
    OutputFile(os.path.join(saved, "more.parquet")).write(lost)
    shoot("empty", None)
    shoot("data", file)
    shoot("sample", file, rows="sample", sample_size=40)
    shoot("lost", os.path.join(saved, "more.parquet"))
    shoot("not-loaded", file, auto_load=False)
    with (
        mock.patch.object(loading_task, "free_memory", lambda: 10**5),
        mock.patch(f"{OWLoadVectors.__module__}.free_memory", lambda: 10**5),
    ):
        shoot("no-room", file)
    with open(os.path.join(saved, "part-3.parquet"), "wb") as broken:
        broken.write(b"not finished")
    shoot("damaged", saved)
    shoot("error", os.path.join(saved, "part-3.parquet"))
    shoot("missing", os.path.join(saved, "vectors that were moved"))
