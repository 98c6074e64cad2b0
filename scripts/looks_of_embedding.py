"""Screenshots of Image Embedding, for looks.py."""

from AnyQt.QtTest import QTest
from screenshots import discard, made

WAIT_MS = 120_000


def take_image_embedding(looks):
    """Take Image Embedding."""
    from orangecontrib.imageanalytics.widgets.owimageembedding import (
        OWImageEmbedding,
    )

    if not looks.wanted("embedding"):
        return

    def shoot(name, data, **settings):
        widget = made(OWImageEmbedding, {"embedder": "squeezenet"} | settings)
        widget.set_images(data)
        looks.shoot(widget, f"embedding-{name}", lambda: widget.task is None)
        if name == "data":
            _take_networks(looks, widget)
            _take_trust_question(looks, widget)
        elif name in ("download", "words"):
            _take_download_question(looks, widget, name)
        discard(widget)

    shoot("empty", None)
    shoot("no-column", looks.no_images)
    shoot("data", looks.images)
    shoot("skipped", looks.states(looks.images)["lost"])
    shoot("download", looks.images, embedder="vgg16")
    shoot("words", looks.images, embedder="siglip2-vit-b-16")
    shoot("error", looks.images, embedder="timm:not_a_network")


def _take_download_question(looks, widget, name: str):
    consent = widget.consent
    QTest.qWaitFor(lambda: widget.network.facts is not None, WAIT_MS)
    consent.ask_to_download(widget.network.facts)
    looks.shoot(consent._question, f"embedding-{name}-question")
    consent.close()


def _take_trust_question(looks, widget):
    from orangecontrib.imageanalytics.errors import TrustNeededError

    file = "/home/ana/Networks from the lab/mushrooms-2024.pt2"
    needed = TrustNeededError(file, "", 48_300_000, 1.7e9)
    widget.consent.ask_to_trust(needed, by_workflow=True)
    looks.shoot(widget.consent._question, "embedding-trust-question")
    widget.consent.close()


def _take_networks(looks, widget):
    combo = widget.network.combo
    combo.showPopup()
    looks.shoot(combo.view().window(), "embedding-networks")
    combo.hidePopup()
