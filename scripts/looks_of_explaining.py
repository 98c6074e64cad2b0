"""Screenshots of Explain Images, for looks.py."""

import numpy as np
from AnyQt.QtTest import QTest
from screenshots import discard, made

WAIT_MS = 120_000


def take_explain_images(looks):
    """Take Explain Images, with and without a model."""
    from orangecontrib.imageanalytics.widgets.owexplainimages import OWExplainImages

    if not looks.wanted("explain"):
        return
    model = trained(looks.vectors)
    states = looks._states(looks.images) | {"alike": looks.images}
    for name, data in states.items():
        widget = made(OWExplainImages, {})
        widget.set_model(None if name in ("empty", "alike") else model)
        widget.set_images(data)
        widget.handleNewSignals()
        widget.show()
        QTest.qWaitFor(lambda widget=widget: widget.task is None, WAIT_MS)
        idle = lambda widget=widget: widget.loader.idle  # noqa: E731
        looks.shoot(widget, f"explain-{name}", idle)
        discard(widget)


def trained(vectors):
    """A model that tells the first half of the images from the second."""
    from Orange.classification import LogisticRegressionLearner
    from Orange.data import DiscreteVariable, Domain, Table

    half = DiscreteVariable("half", ["first", "second"])
    domain = Domain(vectors.domain.attributes, half)
    classes = np.arange(len(vectors)) >= len(vectors) / 2
    return LogisticRegressionLearner()(
        Table.from_numpy(domain, vectors.X, classes.astype(float))
    )
