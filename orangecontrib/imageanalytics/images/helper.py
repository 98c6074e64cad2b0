"""A separate process for work that may never end, hold Python's lock or crash.

Drawing a hostile SVG may take hours in a library that blocks all other threads, and
some decoders crash on damaged files. Both therefore run in a helper process. It is
reused, ends itself when an image takes too long, and ends with the program.
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
# More than this would make the computer unusable. (Only Linux can limit it.)
_MEMORY_BYTES = 8 << 30
# The SVG renderer recurses: a thousand nested elements, the most that it accepts, take
# 33 MB of stack, a chain of a thousand markers 64 MB. Windows refuses 256 MB.
_STACK_BYTES = 128 << 20
_LEAST_STACK_BYTES = 1 << 20
_LENGTH = struct.Struct(">Q")
_READY = "ready"
# The exit code of a process that has taken too long.
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
        # Not with multiprocessing, which would run the user's script again.
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
        """The answer to a question; EOFError or OSError if the process has ended."""
        _write(self._process.stdin, question)
        return _read(self._process.stdout)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once; `close` cleans up."""
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> int:
        """Close its input, wait until it ends, and return the exit code."""
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()
        try:
            return self._process.wait(1)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()


class _Pool:
    """The idle processes, and the busy ones by the thread that waits for each."""

    def __init__(self):
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._busy: dict[int, _Process] = {}
        self._timer: threading.Timer | None = None

    @contextlib.contextmanager
    def lend(self):
        """Lend a process to this thread; it is ended if an exception is raised."""
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
        """End the idle processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.close()

    def kill(self, threads: set[int] | None = None) -> None:
        """End the processes that some threads wait for, or all threads."""
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
    Stop the calls of some threads at once; `call` raises an error there.

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
        ``"module:name"``. Its arguments and its result must be picklable.
    seconds : float
        Longest time that it may take.

    Returns
    -------
    object
        What the function returns.

    Raises
    ------
    ImageError
        It takes too long, the process crashes or cannot be started, or the function
        raises this error.
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
    """The reason that the exit code of a process stands for."""
    if code == _TIMED_OUT:
        return f"takes longer than {seconds:g} s"
    return "its decoder crashes"


# In the process -----------------------------------------------------------------------


def main() -> None:
    """Answer questions until the input ends."""
    questions, answers = (
        os.fdopen(os.dup(fd), mode) for fd, mode in ((0, "rb"), (1, "wb"))
    )
    silence = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # the output of libraries must not mix with the answers
        os.dup2(silence, standard)
    # Ctrl-C in a terminal is for the program, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit()
    _start_thread(_serve, questions, answers, silence).join()


def _start_thread(target: Callable, *arguments) -> threading.Thread:
    """Start a thread with as much stack as the system grants."""
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
    """Limit memory, and prevent core dumps and error windows."""
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
        # This needs neither Python's lock nor the program, which may have ended.
        faulthandler.dump_traceback_later(seconds, exit=True, file=silence)
        answer = _answer(function, arguments)
        faulthandler.cancel_dump_traceback_later()
        _write(answers, answer)


def _answer(function: str, arguments: tuple) -> object:
    module, _, name = function.partition(":")
    try:
        return getattr(importlib.import_module(module), name)(*arguments)
    except ImageError as error:
        return ImageError(str(error), error.transient)
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
