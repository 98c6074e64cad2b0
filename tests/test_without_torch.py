"""What works without torch, in a Python that does not find it."""

import os
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Run at the start of Python, also of processes that it starts. Entries of None
# in sys.modules would not do: scipy does not expect them.
HIDING = """
from importlib.machinery import PathFinder

find_spec = PathFinder.find_spec
hidden = ("torch", "torchvision", "timm", "open_clip")

def find_others(cls, name, *arguments):
    return None if name.partition(".")[0] in hidden else find_spec(name, *arguments)

PathFinder.find_spec = classmethod(find_others)
"""


@pytest.fixture
def python(tmp_path):
    """A function that runs Python with arguments, and returns what it printed."""
    (tmp_path / "hiding").mkdir()
    (tmp_path / "hiding" / "sitecustomize.py").write_text(HIDING)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "hiding"), ROOT)),
        "ORANGE_IMAGEANALYTICS_CACHE_DIR": str(tmp_path / "cache"),
    }
    environment.pop("PYTEST_XDIST_WORKER", None)

    def run(*arguments):
        process = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert process.returncode == 0, process.stdout
        return process.stdout

    return run


def test_from_a_folder_to_vectors_and_widgets(python):
    options = ("-q", "-p", "no:cacheprovider")
    printed = python("-m", "pytest", *options, "tests/without_torch")
    assert " passed" in printed


def test_datasets(python, photos, tmp_path):
    """Also the processes of a cluster do without."""
    code = (
        "import sys\n"
        "from orangecontrib.imageanalytics.distributed import embed_dataset\n"
        "if __name__ == '__main__':\n"
        "    result = embed_dataset(*sys.argv[1:], workers=1)\n"
        "    assert not {'torch', 'torchvision'} & set(sys.modules)\n"
    )
    (tmp_path / "run.py").write_text(code)
    folder = os.path.dirname(os.path.dirname(photos[0]))
    python(str(tmp_path / "run.py"), folder, str(tmp_path / "vectors"))
    from orangecontrib.imageanalytics.vector_files import read_dataset

    table = read_dataset(str(tmp_path / "vectors"))
    assert len(table) == 6 and len(table.domain.attributes) == 1280
