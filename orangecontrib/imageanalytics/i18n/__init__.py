"""Languages of the texts.

The source has English texts only. When the package is built, trubar replaces them by
look-ups in `translator` and puts a file for each language beside this module. The
translations are in the folder ``i18n`` of the project.
"""

from orangecanvas.localization import get_languages, pl

__all__ = ["PACKAGE", "offer_languages", "pl"]

PACKAGE = "orangecontrib.imageanalytics"


def offer_languages() -> None:
    """Add languages that Orange itself lacks to the choice in its settings.

    Orange shows its own texts in English then.
    """
    offered = get_languages()  # from a cache: this is what Orange looks in
    for name, file in get_languages(PACKAGE).items():
        offered.setdefault(name, file)
