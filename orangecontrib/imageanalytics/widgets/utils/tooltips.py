"""Tooltips with the user's text, which Qt would otherwise interpret as HTML."""

import html


def plain_tooltip(*lines: str) -> str:
    """
    A tooltip that shows texts as they are, and breaks long ones.

    Parameters
    ----------
    *lines : str
        Texts, one below the other. Of a tooltip without any text, Qt shows nothing.

    Returns
    -------
    str
        Rich text; "" if there is no text.
    """
    shown = "<br>".join(html.escape(line) for line in lines)
    return f"<qt>{shown}</qt>" if shown else ""
