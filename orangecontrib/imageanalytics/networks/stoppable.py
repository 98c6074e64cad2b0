"""Waiting for what may take long, such that it can be stopped."""

import threading

POLL = 0.1  # seconds between two looks at whether to stop


class StoppableWork:
    """Work in a thread of its own, for which a caller waits who may stop it.

    Neither a server that falls silent nor another process that is downloading the
    same file keeps the caller from stopping.
    """

    def __init__(self):
        self.fraction = 0.0
        self.stop = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def wait(self, callback) -> None:
        """Until the work is done; `callback` gets the fraction done.

        Raises
        ------
        Exception
            What ended the work, or what `callback` raises.
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
        """What is done in the thread; should end soon after `stop` is set."""
        raise NotImplementedError

    def _run(self):
        try:
            self.work()
        except Exception as error:  # for the thread that waits
            self._error = error
