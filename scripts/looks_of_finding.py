"""Screenshots of Find Images, for looks.py, which would be too long with them.

The networks that know words are large, so a tiny one of the tests stands for them: what
it finds means nothing.
"""

import os
import sys
from pathlib import Path

from AnyQt.QtTest import QTest
from screenshots import ROOT, discard, made


def take_find_images(looks, folder: str):
    """Take Find Images, in all of its states."""
    if not looks.wanted("find"):
        return
    for name, data in looks.states(looks.images).items():
        with opened(looks, data) as widget:
            looks.shoot(widget, f"find-{name}", ready(widget))
    with opened(looks, looks.images, examples=looks.images[50:52]) as widget:
        widget.more_like([3, 4])
        QTest.qWaitFor(ready(widget), 60_000)
        widget.view.select_rows([2, 3])
        looks.shoot(widget, "find-examples", ready(widget))
        widget.panel.lines.parts[0].edit.setText("a red car on a beach")
        looks.shoot(widget, "find-no-words", ready(widget))
        widget.panel.buttons["sort"].click()
        looks.shoot(widget, "find-classes-no-words", ready(widget))
    download = {"embedder": "clip-vit-b-32", "descriptions": [("a dog", 1, False)]}
    with opened(looks, looks.images, **download) as widget:
        looks.shoot(widget, "find-download", ready(widget))
    nothing = {"limit_by": "score", "least_score": 1.0, "descriptions": []}
    with opened(looks, looks.images, **nothing) as widget:
        widget.add_examples([os.path.join(ROOT, "no such image.jpg")])
        looks.shoot(widget, "find-lost-example", ready(widget))
        widget.remove_examples([0])
        widget.more_like([0, 9])
        looks.shoot(widget, "find-nothing", ready(widget))
    take_words(looks, folder)


def take_words(looks, folder: str):
    """Take what needs a network that knows words."""
    from huggingface_hub import constants

    sys.path.append(os.path.join(ROOT, "tests"))
    import word_networks

    constants.HF_HUB_CACHE = folder
    words = [("a shirt on a wall", 2, False), ("a person", 1, True), ("red", 1, False)]
    with word_networks.known_to_open_clip():
        network, _ = word_networks.put_network(Path(folder), word_networks.CLIP)
        with opened(
            looks, looks.images, embedder=network.id, descriptions=words
        ) as widget:
            looks.shoot(widget, "find-words", ready(widget))
            widget.panel.buttons["sort"].click()
            looks.shoot(widget, "find-no-classes", ready(widget))
            widget.panel.classes.data_button.click()
            widget.matches.other_slider.slider.setValue(11)
            looks.shoot(widget, "find-classes", ready(widget))


class opened:
    """A widget with data, as long as it is looked at."""

    def __init__(self, looks, data, examples=None, **settings):
        from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages

        self.widget = made(OWFindImages, settings)
        self.widget.set_images(data)
        self.widget.set_examples(examples)
        self.widget.handleNewSignals()
        self.widget.show()
        QTest.qWaitFor(ready(self.widget), 60_000)

    def __enter__(self):
        return self.widget

    def __exit__(self, *_):
        discard(self.widget)


def ready(widget):
    """A function that tells whether everything is found and loaded."""
    loaders = widget.loader, widget.panel.strip.loader
    return lambda: (
        widget.task is None
        and not widget.searcher.busy
        and all(loader.idle for loader in loaders)
    )
