"""The exceptions of the package, and a summary of those of other libraries."""


class ImageAnalyticsError(Exception):
    """Base of every error that this package raises on purpose."""


class ImageError(ImageAnalyticsError):
    """One image cannot be used.

    The message is the reason alone, in plain words; whoever reports it knows
    which image it was.

    Parameters
    ----------
    reason : str
    transient : bool, optional
        Whether it may be gone at another time, as for a server that is busy.
    """

    transient = False

    def __init__(self, reason: str = "", transient: bool | None = None):
        super().__init__(reason)
        if transient is not None:
            self.transient = transient


class ModelError(ImageAnalyticsError):
    """The weights of a network are missing, damaged or cannot be downloaded."""


class NotAveragedError(ModelError):
    """The vectors of a network are not means over the positions of a map."""


class TrustNeededError(ModelError):
    """A file can run code when it is opened, and the user has not vouched for it.

    Parameters
    ----------
    path : str
        Path of the file.
    sha256 : str
        SHA-256 of its content, in hexadecimal.
    n_bytes : int
        Its length.
    modified : float
        When it was last changed, in seconds since 1970.
    """

    def __init__(self, path: str, sha256: str, n_bytes: int, modified: float):
        super().__init__(
            f"{path} can run any program when it is opened, so it is opened only after "
            "you have vouched for it on this computer. If you trust whoever made it, "
            "choose it in the widget Image Embedding, or use ImageEmbedder(..., "
            "trust=True) or --trust. An ONNX file needs no trust."
        )
        self.path = path
        self.sha256 = sha256
        self.n_bytes = n_bytes
        self.modified = modified


class DatasetError(ImageAnalyticsError):
    """A file or folder of vectors cannot be used; the message names it."""


class Cancelled(ImageAnalyticsError):
    """The work was stopped on request; what was finished is kept."""


def message_lines(error: BaseException) -> list[str]:
    """The lines of another library's error message, without empty ones."""
    return [line.strip() for line in str(error).splitlines() if line.strip()]


def first_line(error: BaseException) -> str:
    """The first line of another library's error message, or the type of the error."""
    lines = message_lines(error)
    return lines[0] if lines else type(error).__name__
