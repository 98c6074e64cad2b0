"""Texts that are put together from others."""


def capitalized(text: str) -> str:
    """The text with a capital first letter.

    Unlike `str.capitalize`, it leaves the others as they are: in some languages, nouns
    have capitals.
    """
    return text[:1].upper() + text[1:]
