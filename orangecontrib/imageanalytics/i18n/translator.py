"""The table in which the modules of the built package look up their texts.

All modules share one table; those of Orange read a table each.
"""

from orangecanvas.localization import Translator, pl
from orangecanvas.localization.si import plsi

from orangecontrib.imageanalytics.i18n import PACKAGE, offer_languages
from orangecontrib.imageanalytics.i18n.numbers import Spaced, space_numbers

__all__ = ["Spaced", "_tr", "pl", "plsi"]

offer_languages()
_tr = Translator(PACKAGE, "biolab.si", "Orange")
if _tr.m[0] != "English":
    _tr.m[:] = [space_numbers(text) for text in _tr.m]
