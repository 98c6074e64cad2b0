"""Check the address of an image before any server is asked for it."""

from urllib.parse import SplitResult, urlsplit

from orangecontrib.imageanalytics.errors import ImageError

# Source: RFC 1035, section 2.3.4.
MAX_LABEL = 63
_BRACKETS = "square brackets are for IPv6 addresses"


def check_address(url: str) -> None:
    """Refuse an invalid address.

    Parameters
    ----------
    url : str
        With a scheme that names a host: http, https or ftp.

    Raises
    ------
    ImageError
        The message says what is wrong.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise invalid(_bracket_problem(url) or str(error)) from error
    reason = _host_problem(parts) or _port_problem(parts)
    if reason:
        raise invalid(reason)


def invalid(reason: str) -> ImageError:
    """Make the error for an invalid address, with the reason."""
    return ImageError(f"not a valid address ({reason.rstrip('.')})")


def _bracket_problem(url: str) -> str:
    # Python says "Invalid IPv6 URL" of some and nothing of others.
    host = url.partition("://")[2].partition("/")[0]
    if host.count("[") != host.count("]"):
        return "a square bracket is missing"
    return _BRACKETS if "[" in host else ""


def _host_problem(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if not host:
        return "it names no host"
    if "[" in host or "]" in host or ("[" in parts.netloc) != (":" in host):
        return _BRACKETS
    # A dot at the end is allowed.
    labels = host.removesuffix(".").split(".")
    if ":" not in host and not all(1 <= len(label) <= MAX_LABEL for label in labels):
        return f"'{host[:100]}' cannot be the name of a host"
    return ""


def _port_problem(parts: SplitResult) -> str:
    try:
        _ = parts.port
    except ValueError:
        return "the port is not a number from 0 to 65535"
    return ""
