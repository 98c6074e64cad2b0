"""Draw the workflows of the gallery as they look on Orange's canvas.

xvfb-run -s "-screen 0 1600x1000x24" python scripts/workflow_images.py
"""

import glob
import os
import re

from AnyQt.QtCore import QRectF, Qt
from AnyQt.QtGui import QImage, QPainter
from PIL import Image, ImageOps
from screenshots import PACKAGE, ROOT, light_palette, registry, save, start

# More pixels than points, so that texts are sharp on any screen.
SCALE = 1.5
MARGIN = 10  # points
PAGE_WIDTH = 860  # points


def main():
    _application = start(light_palette())
    widgets = registry()
    for path in workflows():
        save(on_page(drawn(path, widgets)), image_name(path))


def workflows() -> list[str]:
    """Paths of the example workflows, and of those for the site alone."""
    tutorials = glob.glob(os.path.join(PACKAGE, "tutorials", "*.ows"))
    return sorted(tutorials) + sorted(
        glob.glob(os.path.join(ROOT, "doc", "workflows", "*.ows"))
    )


def image_name(path: str) -> str:
    """The name of the image of a workflow: that of its file, without the number."""
    name = os.path.splitext(os.path.basename(path))[0]
    return re.sub(r"^\d+-", "", name)


def drawn(path: str, widgets) -> QImage:
    """An image of a workflow, which does not run."""
    from orangecanvas.canvas.scene import CanvasScene
    from orangecanvas.scheme import Scheme
    from orangecanvas.scheme.readwrite import scheme_load

    scheme = Scheme()
    with open(path, "rb") as file:
        scheme_load(scheme, file, registry=widgets)
    scene = CanvasScene()
    scene.set_registry(widgets)
    scene.set_node_animation_enabled(False)
    scene.set_scheme(scheme)
    scene.anchor_layout().activate()
    scene.clearSelection()
    area = scene.itemsBoundingRect()
    area.adjust(-MARGIN, -MARGIN, MARGIN, MARGIN)
    image = QImage((area.size() * SCALE).toSize(), QImage.Format_RGB32)
    image.fill(Qt.white)
    painter = QPainter(image)
    painter.setRenderHints(QPainter.Antialiasing | QPainter.SmoothPixmapTransform)
    scene.render(painter, QRectF(image.rect()), area)
    painter.end()
    scene.clear()
    scene.deleteLater()
    return image


def on_page(drawing: QImage) -> Image.Image:
    """A drawing without its empty margins, on a page of the usual width.

    All workflows are then shown at the same scale.
    """
    image = Image.fromqimage(drawing)
    box = ImageOps.invert(image.convert("L")).getbbox()
    image = image.crop(box)
    margin = round(SCALE * MARGIN)
    width = max(image.width + 2 * margin, round(SCALE * PAGE_WIDTH))
    page = Image.new("RGB", (width, image.height + 2 * margin), "white")
    page.paste(image, (margin, margin))
    return page


if __name__ == "__main__":
    main()
    # Threads of widgets must not delay the end.
    os._exit(0)
