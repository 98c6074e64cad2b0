"""Hide messages of other packages about which users can do nothing."""

import logging
import threading
import warnings


class QuietHere:
    """A context in which some loggers are silent in this thread.

    Parameters
    ----------
    *names : str
        Names of the loggers.
    """

    def __init__(self, *names: str):
        self._loggers = [logging.getLogger(name) for name in names]

    def __enter__(self):
        self._thread = threading.get_ident()
        for logger in self._loggers:
            logger.addFilter(self._is_elsewhere)

    def __exit__(self, *_):
        for logger in self._loggers:
            logger.removeFilter(self._is_elsewhere)

    def _is_elsewhere(self, _record) -> bool:
        return threading.get_ident() != self._thread


def ignore_deprecation(message: str) -> None:
    """Hide a warning about what will be removed, from now on.

    ``warnings.catch_warnings`` would change the warnings of other threads, too.

    Parameters
    ----------
    message : str
        Regular expression for its beginning.
    """
    for category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", message, category)
