"""Numbers in texts as languages other than English write them.

In these, 1,536 is about one and a half, and a percent sign stands apart. Decimals keep
the point, which Orange has in all languages.
"""

import re

_SPACE = "\N{NO-BREAK SPACE}"
#: The expression in braces before a format with thousands or percent
_FORMATTED = re.compile(r"(?<!\{)\{([^{}:!]+)(?=:(?:,|[^{}]*(?:\{[^{}]*\})?%\}))")


class Spaced:
    """
    A number that is formatted with spaces: 1 536 and 20 %.

    Parameters
    ----------
    number : int or float
    """

    def __init__(self, number: float):
        self._number = number

    def __format__(self, spec: str) -> str:
        text = format(self._number, spec)
        return text.replace(",", _SPACE).replace("%", f"{_SPACE}%")


def space_numbers(code: str) -> str:
    """
    Let an f-string format its numbers by `Spaced`.

    Parameters
    ----------
    code : str
        The f-string as it stands in source code. Other text is returned as it is.

    Returns
    -------
    str
        The same, with `Spaced` around what has thousands or percent in its format.
    """
    if not code.startswith(('f"', "f'")):
        return code
    return _FORMATTED.sub(r"{Spaced(\1)", code)
