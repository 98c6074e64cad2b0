"""A process of our own for what may take for ever, hold Python's lock or crash.

Drawing a hostile SVG takes hours inside a library that lets nothing else run, and some
decoders fall over bad files. Both happen in a helper process instead. It is used again
and again, ends itself when something takes too long, and ends with the program.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

from orangecontrib.imageanalytics.errors import ImageError

_IDLE_SECONDS = 60
# What grows beyond this would make the computer stand still. (Linux can limit it.)
_MEMORY_BYTES = 8 << 30
# The SVG renderer recurses: a thousand nested elements, the most that it accepts, take
# 33 MB of stack, a chain of a thousand markers 64 MB. Windows refuses 256 MB.
_STACK_BYTES = 128 << 20
_LEAST_STACK_BYTES = 1 << 20
_LENGTH = struct.Struct(">Q")
_READY = "ready"
# How a process ends that has watched its own time.
_TIMED_OUT = 1


# In the program -----------------------------------------------------------------------


class _Process:
    """A helper process; one thread at a time may ask it."""

    def __init__(self):
        """
        Raises
        ------
        ImageError
            It cannot be started.
        """
        # Not by multiprocessing, which would run the user's script anew.
        paths = [str(path) for path in sys.path]
        code = f"import sys; sys.path[:] = {paths!r}; import {__name__} as h; h.main()"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
            _read(self._process.stdout)
        except (OSError, ValueError, TypeError, EOFError) as error:
            raise ImageError("no helper process can be started to read it") from error

    def ask(self, question: object) -> object:
        """Its answer; EOFError or OSError if it has ended."""
        _write(self._process.stdin, question)
        return _read(self._process.stdout)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, whatever it does; `close` cleans up."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> int:
        """Wait for its end, which the end of its input brings; the exit code."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()


class _Pool:
    """Processes at work, by the threads that wait for them, and idle ones."""

    def __init__(self):
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: dict[int, _Process] = {}
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def lend(self):
        """A process for this thread; one that was not left unharmed is ended."""
        thread = threading.get_ident()
        process = self._find() or _Process()
        with self._lock:
            self._busy[thread] = process
        is_unharmed = False
        try:
            yield process
            is_unharmed = True
        finally:
            with self._lock:
                del self._busy[thread]
                if is_unharmed:
                    self._idle.append(process)
                    self._end_idle_later()
            if not is_unharmed:
                process.kill()
                process.close()

    def _find(self) -> _Process | None:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_alive():
                    return process
                process.close()
        return None

    def _end_idle_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(_IDLE_SECONDS, self.end_idle)
        self._timer.daemon = True
        self._timer.start()

    def end_idle(self) -> None:
        """End the processes that nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def kill(self, threads: set[int] | None = None) -> None:
        """End what some threads wait for, or all do."""
        with self._lock:
            for thread, process in self._busy.items():
                if threads is None or thread in threads:
                    process.kill()


_pool = _Pool()


@atexit.register
def _end() -> None:
    _pool.kill()
    _pool.end_idle()


def stop(threads: set[int]) -> None:
    """
    End at once what threads have asked for; for them, `call` raises.

    Parameters
    ----------
    threads : set of int
        As `threading.get_ident` numbers them.
    """
    _pool.kill(threads)


def call(function: str, *arguments, seconds: float):
    """
    Run a function in a helper process.

    Parameters
    ----------
    function : str
        ``"module:name"``. Arguments and result can be pickled.
    seconds : float
        After these it is given up.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    ImageError
        It takes too long, the process has crashed or cannot be started, or the
        function raises this.
    """
    try:
        with _pool.lend() as process:
            try:
                answer = process.ask((function, arguments, seconds))
            except (OSError, EOFError) as error:
                raise ImageError(_why(process.close(), seconds)) from error
    except MemoryError as error:
        raise ImageError("not enough memory to decode it") from error
    if isinstance(answer, ImageError):
        raise answer
    return answer


def _why(code: int, seconds: float) -> str:
    """What the exit code of a process says of what it did."""
    if code == _TIMED_OUT:
        return f"takes longer than {seconds:g} s"
    return "its decoder crashes"


# In the process -----------------------------------------------------------------------


def main() -> None:
    """Answer questions until there are no more."""
    questions, answers = (
        os.fdopen(os.dup(fd), mode) for fd, mode in ((0, "rb"), (1, "wb"))
    )
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # what libraries print must not get among the answers
        os.dup2(silence, standard)
    # Ctrl-C in a terminal is for the program, which decides what becomes of this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit()
    _start_thread(_serve, questions, answers, silence).join()


def _start_thread(target: Callable, *arguments) -> threading.Thread:
    """A started thread, with as much stack as the system grants."""
    size = _STACK_BYTES
    while size >= _LEAST_STACK_BYTES:
        # ValueError: refused as such; RuntimeError: the memory is not there.
        with contextlib.suppress(ValueError, RuntimeError):
            threading.stack_size(size)
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            return thread
        size //= 2
    threading.stack_size(0)
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    return thread


def _limit() -> None:
    """Let it fail instead of the computer, and leave nothing behind."""
    try:
        import resource
    except ImportError:
        import ctypes

        ctypes.windll.kernel32.SetErrorMode(3)  # no window when it crashes
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def _serve(questions: BinaryIO, answers: BinaryIO, silence: int) -> None:
    _write(answers, _READY)
    while True:
        try:
            function, arguments, seconds = _read(questions)
        except EOFError:
            return
        # It needs no lock of Python's, and nobody outside: the program may be gone.
        faulthandler.dump_traceback_later(seconds, exit=True, file=silence)
        answer = _answer(function, arguments)
        faulthandler.cancel_dump_traceback_later()
        _write(answers, answer)


def _answer(function: str, arguments: tuple) -> object:
    module, _, name = function.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(*arguments)
    except ImageError as error:
        return ImageError(str(error))
    except MemoryError:
        return ImageError("not enough memory to decode it")
    except BaseException as error:  # panics of libraries are no Exceptions
        return ImageError(f"its decoder fails ({type(error).__name__})")


# Between them -------------------------------------------------------------------------


def _write(pipe: BinaryIO, value: object) -> None:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _read(pipe: BinaryIO) -> object:
    content = pipe.read(_LENGTH.size)
    if len(content) == _LENGTH.size:
        (length,) = _LENGTH.unpack(content)
        content = pipe.read(length)
        if len(content) == length:
            return pickle.loads(content)
    raise EOFError
