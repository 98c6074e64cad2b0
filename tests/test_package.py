"""The package as installed: its names, its files, and what importing it costs."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import pytest
from helpers import modules_of_windows
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import orangecontrib.imageanalytics as package
from orangecontrib.imageanalytics.networks.registry import NETWORKS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The folder in which Python finds it: the checkout, or where it is installed.
INSTALLED_IN = os.path.dirname(os.path.dirname(os.path.dirname(package.__file__)))


def python(code, *path):
    """What a new Python prints that finds the package, and `path`, first."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((*path, INSTALLED_IN))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=os.path.dirname(sys.executable),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


@pytest.mark.parametrize(
    "module",
    [
        "__main__",
        "import_images",
        "image_embedder",
        "output_file",
        "save_images",
        "twins",
    ],
)
def test_importing_is_light(module):
    loaded = python(
        f"import sys, orangecontrib.imageanalytics.{module}\n"
        "print(*sys.modules, sep='\\n')"
    )
    assert f"orangecontrib.imageanalytics.{module}" in loaded
    heavy = {"torch", "torchvision", "orangewidget", "Orange.widgets", "httpx"}
    heavy |= {"pillow_heif", "resvg_py", "requests"}
    assert not heavy & set(loaded)
    assert not modules_of_windows(loaded)


def test_public_names():
    from orangecontrib.imageanalytics.image_embedder import (  # noqa: F401
        MODELS,
        ImageEmbedder,
        cache_info,
        clear_cache,
    )
    from orangecontrib.imageanalytics.import_images import ImportImages  # noqa: F401
    from orangecontrib.imageanalytics.utils.image_utils import (  # noqa: F401
        extract_image_path,
        extract_paths,
        filter_image_attributes,
    )

    assert list(MODELS) == [network.id for network in NETWORKS]


def test_namespace_is_shared(tmp_path):
    """Another add-on's part of ``orangecontrib``, before and behind ours."""
    other = tmp_path / "orangecontrib" / "other"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    code = "import orangecontrib.other, orangecontrib.imageanalytics as ours\n"
    assert python(code + "print(ours.__name__)", str(tmp_path))
    assert python(f"import sys; sys.path.append({str(tmp_path)!r})\n{code}print(1)")


def test_wheel_holds_the_package_alone(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(os.path.join(ROOT, name), source)
    for name in ("i18n", "orangecontrib", "tests"):
        shutil.copytree(os.path.join(ROOT, name), source / name)
    left_over = source / "orangecontrib" / "imageanalytics" / "__pycache__"
    left_over.mkdir(exist_ok=True)
    (left_over / "left_over.pyc").touch()
    code = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, check=True
    )
    (wheel,) = source.glob("*.whl")
    assert wheel.name.startswith("orange3_imageanalytics-")
    with zipfile.ZipFile(wheel) as content:
        packed = {name for name in content.namelist() if ".dist-info/" not in name}
        (licence,) = (n for n in content.namelist() if n.endswith("/LICENSE"))
        assert b"GNU GENERAL PUBLIC LICENSE" in content.read(licence)
    files = {
        path.relative_to(source).as_posix()
        for path in (source / "orangecontrib").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    texts = "orangecontrib/imageanalytics/i18n"
    languages = {f"{texts}/{name}.json" for name in ("English", "German", "Slovenian")}
    assert packed == files | languages
    assert "orangecontrib/__init__.py" not in packed


def classroom():
    """The changed requirements of a classroom: those left out, and other versions."""
    with open(os.path.join(ROOT, "classroom.txt"), encoding="utf-8") as file:
        lines = [line.partition("#")[0].strip() for line in file]
    changed = [Requirement(line) for line in lines if line]
    assert len({canonicalize_name(one.name) for one in changed}) == len(changed)
    left_out = [one for one in changed if one.marker]
    return left_out, [one for one in changed if not one.marker]


def requirements(name):
    """Names of what an installed package requires here, without extras."""
    lines = metadata.requires(name) or ()
    found = (Requirement(line) for line in lines)
    return {
        canonicalize_name(one.name)
        for one in found
        if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def test_what_a_classroom_leaves_out():
    left_out, _ = classroom()
    names = {canonicalize_name(one.name) for one in left_out}
    assert {"torch", "torchvision"} <= names
    required, unseen = set(), {"orange3-imageanalytics"}
    while unseen:
        name = unseen.pop()
        required.add(name)
        if name not in names:
            unseen |= requirements(name) - required
    assert names <= required  # else nothing would be left out
    assert not any(one.marker.evaluate() for one in left_out)


def test_other_versions_for_a_classroom_are_supported():
    _, others = classroom()
    tomllib = pytest.importorskip("tomllib")
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["pyqt6"]]
    supported = {one.name: one.specifier for one in map(Requirement, lines)}
    names = {one.name for one in others}
    assert names == {"PyQt6", "PyQt6-Qt6", "openvino"}
    for one in others:
        lowest = min(part.version for part in one.specifier if part.operator == ">=")
        # Qt itself has the version of PyQt.
        known = supported[one.name.removesuffix("-Qt6")]
        assert lowest in known, one


def test_commands_for_classrooms():
    for page in ("README.md", "doc/install.md"):
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            assert "--override classroom.txt" in file.read()
