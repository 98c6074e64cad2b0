"""What newcomers read first: that what it names is there, and that it is complete."""

import os
import re

import pytest
from helpers import read_toml

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_that_are_named_exist(page):
    text = read(page)
    named = re.findall(r"`((?:orangecontrib|doc|tests|scripts)/[\w./-]+)`", text)
    named += re.findall(r"(?<!/)\b(?:tests|scripts)/[\w./-]+(?<!\.)", text)
    named += [
        link.partition("#")[0]
        for link in re.findall(r"\]\(([^)]+)\)", text)
        if not link.startswith("http")
    ]
    made_by_commands = {"doc/_build/html"}
    for path in set(named) - made_by_commands:
        assert os.path.exists(os.path.join(ROOT, path)), path


def test_make_has_the_commands():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", read("CONTRIBUTING.md")))
    assert named and named <= targets


def test_names_of_the_code():
    from orangecontrib.imageanalytics.images.formats import FORMATS, Format
    from orangecontrib.imageanalytics.networks.registry import FAMILIES, NETWORKS

    text = read("CONTRIBUTING.md")
    for name in ("FORMATS", "FAMILIES", "NETWORKS", "isolated", "LazyImage"):
        assert f"`{name}`" in text
    assert FORMATS and FAMILIES and NETWORKS
    assert hasattr(Format, "isolated")


def test_changelog_has_the_form_of_keep_a_changelog():
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    version = read_toml(os.path.join(ROOT, "pyproject.toml"))["project"]["version"]
    latest = next(version for version in versions if version != "Unreleased")
    assert latest == version
    assert re.search(rf"^## \[{version}\] - 20\d\d-\d\d-\d\d$", text, re.MULTILINE)
    for version in versions:
        assert f"\n[{version}]: https://" in text
    sections = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert sections <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }


def test_hooks_need_pypi_alone():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(read(".pre-commit-config.yaml"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    assert {"ruff-check", "ruff-format", "import-linter"} <= set(hooks)
    # The same versions as in the extra "dev".
    for hook in ("ruff-check", "ruff-format", "import-linter", "help-pages"):
        for requirement in hooks[hook]["additional_dependencies"]:
            assert f'"{requirement}"' in read("pyproject.toml")


def test_read_the_docs_finds_the_extra():
    yaml = pytest.importorskip("yaml")
    config = yaml.safe_load(read(".readthedocs.yaml"))
    assert os.path.isfile(os.path.join(ROOT, config["sphinx"]["configuration"]))
    project = read_toml(os.path.join(ROOT, "pyproject.toml"))["project"]
    extras = project["optional-dependencies"]
    assert any(requirement.startswith("sphinx") for requirement in extras["doc"])
    assert "['doc']" in config["build"]["jobs"]["install"][0]
