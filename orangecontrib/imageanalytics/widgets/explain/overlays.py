"""Heat maps as Qt images."""

from collections import OrderedDict

import numpy as np
from AnyQt.QtGui import QImage

from orangecontrib.imageanalytics.explain import Explanation, HeatMap, overlay_of

#: Pixels of an overlay's longer side; it is smooth, and Qt scales it.
LONGEST = 192
MOST_KEPT = 1000


def overlay_image(heat_map: HeatMap, longest: int = LONGEST) -> QImage:
    """What is laid over an image, with its proportions."""
    scale = longest / max(heat_map.size)
    width, height = (max(1, round(scale * side)) for side in heat_map.size)
    pixels = np.ascontiguousarray(overlay_of(heat_map, width, height))
    image = QImage(
        pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888
    )
    # It has no memory of its own, and is painted faster in another format.
    return image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


class Overlays:
    """The overlays of explained images; the last ones are kept."""

    def __init__(self):
        self._kept: OrderedDict[int, tuple[Explanation, QImage]] = OrderedDict()

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def get(self, explanation: Explanation | None) -> QImage | None:
        """The overlay of an image; None without an explanation."""
        if explanation is None:
            return None
        kept = self._kept.get(explanation.row)
        if kept is None or kept[0] is not explanation:
            kept = explanation, overlay_image(explanation.heat_map)
            self._kept[explanation.row] = kept
        self._kept.move_to_end(explanation.row)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return kept[1]
