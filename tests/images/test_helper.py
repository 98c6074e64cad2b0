import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from helpers import wait_until

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import drawing, helper
from orangecontrib.imageanalytics.images.decode import decode

SLOW = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900">'
    b'<filter id="f"><feTurbulence numOctaves="1000000000"/></filter>'
    b'<rect width="900" height="900" filter="url(#f)"/></svg>'
)
FAST = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">'
    b'<rect width="9" height="9" fill="red"/></svg>'
)
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="signals of POSIX")


def reason(function, *arguments, seconds=20):
    with pytest.raises(ImageError) as raised:
        helper.call(function, *arguments, seconds=seconds)
    return str(raised.value)


def pid():
    return helper.call("os:getpid", seconds=20)


def sleeping(begun, seconds=120):
    """Code that makes a file, then sleeps."""
    return f"import time; open({str(begun)!r}, 'w').close(); time.sleep({seconds})"


def is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_process_is_used_again():
    assert pid() == pid() != os.getpid()


def test_what_libraries_print_does_no_harm():
    assert helper.call("builtins:print", "noise", seconds=20) is None
    assert helper.call("os:write", 1, b"noise", seconds=20) == 5
    assert helper.call("os:write", 2, b"noise", seconds=20) == 5
    assert helper.call("builtins:len", b"1234", seconds=20) == 4


def test_errors_come_back():
    before = pid()
    assert reason("builtins:int", "x") == "its decoder fails (ValueError)"
    # As panics of libraries are, no Exception.
    assert reason("sys:exit") == "its decoder fails (SystemExit)"
    assert reason("nowhere:nothing") == "its decoder fails (ModuleNotFoundError)"
    assert pid() == before


def test_a_crash_is_of_one_image():
    before = pid()
    assert reason("os:abort") == "its decoder crashes"
    assert pid() != before


GRUDGING = """
    import threading

    granted = threading.stack_size
    start = threading.Thread.start

    def stack_size(size=0):
        if size >= {refused}:
            raise ValueError("size not valid")
        return granted(size)

    def start_if_there_is_memory(thread):
        if granted() >= {too_large}:
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.stack_size = stack_size
    threading.Thread.start = start_if_there_is_memory
    from orangecontrib.imageanalytics.images import helper
    helper.main()
"""


@pytest.mark.parametrize(
    ("refused", "too_large"),
    [
        (256 << 20, 1 << 40),  # Windows
        (9 << 20, 1 << 40),
        (1, 1 << 40),
        (1 << 40, 9 << 20),
        (1 << 40, 1),
    ],
)
def test_it_takes_the_stack_that_the_system_grants(refused, too_large, monkeypatch):
    helper._pool.end_idle()
    code = GRUDGING.format(refused=refused, too_large=too_large)
    popen = subprocess.Popen

    def start(command, **options):
        return popen([*command[:-1], textwrap.dedent(code)], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert decode(FAST).getpixel((0, 0)) == (255, 0, 0)
    helper._pool.end_idle()


@ON_LINUX
def test_memory_is_limited():
    assert reason("builtins:bytearray", 100 << 30) == "not enough memory to decode it"


def test_it_is_given_up_after_a_time():
    start = time.monotonic()
    assert reason("time:sleep", 300, seconds=0.5) == "takes longer than 0.5 s"
    assert time.monotonic() - start < 100
    assert helper.call("builtins:abs", -1, seconds=20) == 1


def test_a_slow_drawing_lets_everything_else_run(monkeypatch):
    monkeypatch.setattr(drawing, "DRAWING_SECONDS", 2)
    outcome = []

    def draw():
        try:
            decode(SLOW)
        except ImageError as error:
            outcome.append(str(error))

    decode(FAST)
    thread = threading.Thread(target=draw)
    thread.start()
    n_drawn = 0
    while thread.is_alive():
        assert decode(FAST).getpixel((0, 0)) == (255, 0, 0)
        n_drawn += 1
    assert outcome == ["takes longer than 2 s"]
    assert n_drawn > 5  # none or one if it held Python's lock


def test_stopping_a_thread(tmp_path):
    outcome = []
    begun = tmp_path / "begun"

    def ask():
        try:
            helper.call("builtins:exec", sleeping(begun), seconds=120)
        except ImageError as error:
            outcome.append(error)

    pid()
    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(begun.exists)
    helper.stop({threading.get_ident()})  # another one's is left alone
    assert thread.is_alive()
    helper.stop({thread.ident})
    thread.join(60)
    assert not thread.is_alive()
    assert outcome


def run(code):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
    )


WORK = """
    from orangecontrib.imageanalytics.images import helper
    print(helper.call("os:getpid", seconds=60), flush=True)
"""


@ON_LINUX
def test_it_ends_with_the_program():
    program = run(WORK)
    process = int(program.stdout.readline())
    program.wait(60)
    wait_until(lambda: not is_running(process))


@ON_LINUX
@pytest.mark.parametrize("is_busy", [False, True])
def test_it_ends_when_the_program_is_killed(is_busy, tmp_path):
    begun = tmp_path / "begun"
    last = f'helper.call("builtins:exec", {sleeping(begun)!r}, seconds=2)'
    if not is_busy:
        last = sleeping(begun)
    program = run(WORK + f"    {last}\n")
    process = int(program.stdout.readline())
    wait_until(begun.exists)
    assert is_running(process)
    program.send_signal(signal.SIGKILL)
    program.wait()
    wait_until(lambda: not is_running(process))


def test_a_script_is_not_run_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from orangecontrib.imageanalytics.images.decode import decode\n"
        f"print(decode({FAST!r}).size)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(9, 9)\n"


def test_it_cannot_be_started(monkeypatch):
    helper._pool.end_idle()
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert reason("os:getpid") == "no helper process can be started to read it"
    monkeypatch.setattr(sys, "executable", None)
    assert reason("os:getpid") == "no helper process can be started to read it"
