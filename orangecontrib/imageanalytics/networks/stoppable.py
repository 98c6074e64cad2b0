"""Wait for long work so that it can be stopped."""

import threading

POLL = 0.1  # seconds between two looks at whether to stop


class StoppableWork:
    """Work in a separate thread; the caller waits for it and may stop it.

    The caller can stop even if a server does not respond or another process is
    downloading the same file.
    """

    def __init__(self):
        self.fraction = 0.0
        self.stop = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait(self, callback) -> None:
        """Wait until the work is done; `callback` gets the fraction done.

        Raises
        ------
        Exception
            The error that ended the work, or one that `callback` raises.
        """
        self._thread.start()
        try:
            while self._thread.is_alive():
                self._thread.join(POLL)
                callback(self.fraction)
        finally:
            self.stop.set()
            self._thread.join(POLL)
        if self._error is not None:
            raise self._error

    def work(self) -> None:
        """Do the work, in the thread; should end soon after `stop` is set."""
        raise NotImplementedError

    def _run(self):
        try:
            self.work()
        except Exception as error:  # for the thread that waits
            self._error = error
