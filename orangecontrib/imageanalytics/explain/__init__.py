"""Explain what a model sees in images: heat maps of the parts that count.

`questions` says what is asked, `methods` how it is answered, `models` what a model
makes of vectors, `heat_maps` what the answer is, and `drawing` makes images of it.
"""

from orangecontrib.imageanalytics.explain.drawing import (
    KINDS,
    STRENGTH,
    colors_of,
    overlaid,
    overlay_of,
    save_heat_maps,
)
from orangecontrib.imageanalytics.explain.explaining import Explaining, explain_images
from orangecontrib.imageanalytics.explain.heat_maps import MIDDLE, RIM, HeatMap
from orangecontrib.imageanalytics.explain.results import METHODS, Explanation

__all__ = [
    "KINDS",
    "METHODS",
    "MIDDLE",
    "RIM",
    "STRENGTH",
    "Explaining",
    "Explanation",
    "HeatMap",
    "colors_of",
    "explain_images",
    "overlaid",
    "overlay_of",
    "save_heat_maps",
]
