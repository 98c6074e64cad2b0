"""Colors of classes that people with any kind of color vision can tell apart."""

from collections import Counter
from collections.abc import Iterable

#: The seven colors of Okabe and Ito ("Color Universal Design", 2008), without black.
#: The others were added one by one, each as far as possible from those before it, as
#: people with and without color blindness see them. None is close to white or black.
COLORS = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#f0e442",
    "#804060",
    "#606040",
    "#a0e0a0",
    "#c00000",
    "#a06080",
    "#8080e0",
)


def next_color(used: Iterable[str]) -> str:
    """
    The color for another class.

    Parameters
    ----------
    used : iterable of str
        Colors of the other classes, as ``#rrggbb``.

    Returns
    -------
    str
        The first one that is used least.
    """
    counts = Counter(color.lower() for color in used)
    return min(COLORS, key=lambda color: counts[color])
