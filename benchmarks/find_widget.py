"""How soon Find Images shows what is found among many images.

    python benchmarks/find_widget.py [--count N] [--features N]

The vectors are drawn and the images do not exist: this is about the search, the view
and the outputs. Shown are the median times from a question until the images are shown,
until the tables are sent, and the longest time in which the window does not react: for
the best 50 images, and for all from a score that half of the images have.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from AnyQt.QtWidgets import QApplication
from Orange.data import DiscreteVariable, Domain, StringVariable, Table
from orangewidget.settings import set_widget_settings_dir_components

ROUNDS = 9


def make_table(count):
    """A table of images that do not exist."""
    image = StringVariable("image")
    image.attributes["type"] = "image"
    kind = DiscreteVariable("kind", values=("a", "b"))
    domain = Domain([], kind, [StringVariable("name"), image])
    names = [[f"image {row}", f"/nowhere/{row}.jpg"] for row in range(count)]
    metas = np.array(names, dtype=object)
    return Table.from_numpy(domain, np.empty((count, 0)), np.arange(count) % 2.0, metas)


def make_vectors(widget, n_features):
    """What the widget would have computed for its table."""
    from orangecontrib.imageanalytics.embedding_columns import EmbedImages
    from orangecontrib.imageanalytics.engine.unit_length import normalise
    from orangecontrib.imageanalytics.find_images import ImageVectors
    from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
    from orangecontrib.imageanalytics.widgets.find.find_task import Vectors

    count = len(widget.data)
    random = np.random.default_rng(0)
    vectors = random.standard_normal((count, n_features), dtype=np.float32)
    normalise(vectors)
    compute = EmbedImages.of(EmbeddingSpec.choose(widget.embedder), "image")
    images = ImageVectors(compute, vectors, np.arange(count))
    rows = {source: row for row, source in enumerate(widget._sources)}
    return Vectors(widget.network_task(), widget.network.facts, images, rows, [])


def ask(application, widget, row):
    """Look for images like one; seconds until each of the three."""
    shown = []
    start = last = time.perf_counter()
    answered = lambda _: shown.append(time.perf_counter() - start)  # noqa: E731
    widget.searcher.answered.connect(answered)
    widget.add_examples([widget._sources[row]])
    longest = 0
    while widget.searcher.busy:
        application.processEvents()
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        time.sleep(0.001)
    widget.searcher.answered.disconnect(answered)
    return shown[-1], time.perf_counter() - start, longest


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="of images")
    parser.add_argument("--features", type=int, default=512, help="of a vector")
    arguments = parser.parse_args()
    application = QApplication(["find_widget"])
    with tempfile.TemporaryDirectory() as folder:
        set_widget_settings_dir_components(folder, "benchmark")
        from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages

        widget = OWFindImages()
        widget.resize(1050, 700)
        widget.show()
        widget.set_images(make_table(arguments.count))
        widget._take_vectors(make_vectors(widget, arguments.features))
        print(f"{arguments.count} images, {arguments.features} features, in ms")
        print(f"{'matches':>9s} {'shown':>7s} {'sent':>7s} {'blocked':>8s}")
        for limit, first in (("best", 0), ("score", ROUNDS)):
            widget.limit_by, widget.least_score = limit, 0.0
            times = [ask(application, widget, first + round) for round in range(ROUNDS)]
            columns = [
                1000 * statistics.median(part) for part in zip(*times, strict=True)
            ]
            shown, sent, blocked = columns
            count = len(widget._rows)
            print(f"{count:>9d} {shown:>7.0f} {sent:>7.0f} {blocked:>8.0f}")
        widget.onDeleteWidget()


if __name__ == "__main__":
    main()
