"""The exceptions of the package, in one place, and the gist of those of others."""


class ImageAnalyticsError(Exception):
    """Base of every error that this package raises on purpose."""


class ImageError(ImageAnalyticsError):
    """One image cannot be used.

    The message is the reason alone, in plain words; whoever reports it knows
    which image it was.
    """


class ModelError(ImageAnalyticsError):
    """The weights of a network are missing, damaged or cannot be downloaded."""


class Cancelled(ImageAnalyticsError):
    """The work was stopped on request; what was finished is kept."""


def first_line(error: BaseException) -> str:
    """The first line of what an exception of another library says, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
