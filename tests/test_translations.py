"""Translations: that all texts have one, and that it fits where the text stands."""

import ast
import glob
import os
import re
import subprocess
import sys
from collections import Counter

import pytest
from trubar import actions, messages

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCE = os.path.join(ROOT, "orangecontrib", "imageanalytics")
OLD_WORKFLOW = os.path.join(ROOT, "tests", "widgets", "old_workflow.ows")
LANGUAGES = ("si", "de")
WORDS = re.compile(r"""'[^']*'|"[^"]*\"""")
PLURAL = re.compile(r"""\b(plsi|pl)\(([^,]+), *(['"])(.*?)\3\)""")


def flat(nodes, *where):
    """Messages by file, class, function and text."""
    found = {}
    for key, node in nodes.items():
        inner = isinstance(node.value, dict)
        found |= flat(node.value, *where, key) if inner else {(*where, key): node.value}
    return found


@pytest.fixture(scope="module")
def texts():
    """All texts of the source."""
    found, _ = actions.collect(SOURCE, {}, quiet=True)
    return set(flat(found))


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def translations(language):
    return read(language)


def read(language):
    """True: the text is the same in that language. False: it is not for people."""
    return flat(messages.load(os.path.join(ROOT, "i18n", language, "msgs.jaml")))


def translated(translations):
    return {key: text for key, text in translations.items() if isinstance(text, str)}


def braces(text):
    """The parts in braces, with those inside of them; doubled braces are none."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"\{\{|\}\}|\{|\}", text):
        token = match.group()
        if depth == 0 and len(token) == 2:
            continue
        for brace in token:
            if brace == "{":
                start = start if depth else match.start()
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    parts.append(text[start : match.end()])
    return parts


def outside_braces(text):
    for part in braces(text):
        text = text.replace(part, "")
    return text


def expressions(text):
    """What is filled in, without words that are translated, and without plurals."""
    without_plurals = (PLURAL.sub(r"pl(\2)", part) for part in braces(text))
    parts = (WORDS.sub("''", part) for part in without_plurals)
    return Counter(part for part in parts if not part.startswith("{pl("))


def names(text):
    """The variables and functions in braces, without words that are translated."""
    inside = "".join(WORDS.sub("", part) for part in braces(text))
    return set(re.findall(r"[A-Za-z_]\w*", inside))


def test_every_text_has_a_translation(texts, translations):
    advice = "see i18n/README.md"
    assert not texts - set(translations), advice
    assert not {key for key, text in translations.items() if text is None}, advice


def test_no_translation_is_left_over(texts, translations):
    assert not set(translations) - texts, "see i18n/README.md"


def test_no_text_is_read_with_its_quotes(translations):
    """Trubar does so for a single string in parentheses."""
    for key in translated(translations):
        assert not re.match(r"""\s+(['"]).*\1\s+$""", key[-1], re.DOTALL), key


def test_languages_agree_on_what_is_for_people():
    first, *others = ({k for k, text in read(n).items() if text} for n in LANGUAGES)
    assert len(first) > 1000
    for other in others:
        assert not first ^ other


def test_what_is_filled_in(translations):
    wrong = {
        key: text
        for key, text in translated(translations).items()
        if text and set(expressions(key[-1])) != set(expressions(text))
    }
    assert not wrong


# What a program does with texts that are more than shown.
TAKES_APART = {"strip", "lstrip", "rstrip", "split", "rsplit", "partition", "replace"}
LOOKS_INTO = {"removeprefix", "removesuffix", "startswith", "endswith", "find", "count"}
PLURALS = {"pl", "plsi"}


def parsed():
    """Names of the files of the source, their text, and their trees with parents."""
    for path in sorted(glob.glob(os.path.join(SOURCE, "**", "*.py"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            source = file.read()
        tree = ast.parse(source)
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                child.parent = node
        yield os.path.relpath(path, SOURCE).replace(os.sep, "/"), source, tree


def is_used(node):
    """Whether the program depends on a text: compares it, takes it for a key, …"""
    parent = node.parent
    if isinstance(parent, ast.Compare | ast.Set | ast.MatchValue | ast.Subscript):
        return True
    if isinstance(parent, ast.Dict):
        return node in parent.keys
    if isinstance(parent, ast.Attribute):
        return parent.attr in TAKES_APART | LOOKS_INTO
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute):
        return parent.func.attr in TAKES_APART | LOOKS_INTO
    if isinstance(parent, ast.Assign) and isinstance(parent.parent, ast.ClassDef):
        return any("Enum" in ast.unparse(base) for base in parent.parent.bases)
    return False


def place(node):
    """The classes and functions around it, as trubar names them."""
    found = []
    while hasattr(node, "parent"):
        node = node.parent
        if isinstance(node, ast.ClassDef):
            found.insert(0, f"class `{node.name}`")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.insert(0, f"def `{node.name}`")
    return found


def written(node, source):
    """The text of a literal between its quotes, as trubar has it."""
    code = ast.get_source_segment(source, node)
    return re.fullmatch(r"""[frFR]*("{3}|'{3}|"|')(.*)\1""", code, re.DOTALL)[2]


def test_translated_texts_are_only_shown(translations):
    n_checked = 0
    for name, source, tree in parsed():
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and isinstance(node.parent, ast.JoinedStr):
                continue  # as a part of it
            if is_text or isinstance(node, ast.JoinedStr):
                if not is_used(node) or isinstance(node.parent, ast.FormattedValue):
                    continue
                n_checked += 1
                key = (name, *place(node), written(node, source))
                assert not isinstance(translations.get(key), str), key
    assert n_checked > 1000


def test_plurals_are_where_languages_can_have_more_forms():
    """`pl` must be in an f-string, since the translation of that has another number."""
    n_plurals = 0
    for name, _, tree in parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in PLURALS:
                n_plurals += 1
                where = f"{name}:{node.lineno}"
                assert isinstance(node.args[1], ast.Constant), where
                while not isinstance(node, ast.JoinedStr | ast.stmt):
                    node = node.parent
                assert isinstance(node, ast.JoinedStr), where
    assert n_plurals > 50


def test_percent_fields(translations):
    field = re.compile(r"%(?:\(\w+\))?[sdr]")
    for key, text in translated(translations).items():
        assert Counter(field.findall(key[-1])) == Counter(field.findall(text)), text


def test_tags_and_mnemonics(translations):
    tag, mnemonic = re.compile(r"</?\w+"), re.compile(r"&(?!\w+;)\S")
    for key, text in translated(translations).items():
        if text:
            assert Counter(tag.findall(key[-1])) == Counter(tag.findall(text)), text
            assert len(mnemonic.findall(key[-1])) == len(mnemonic.findall(text)), text


def test_quotes(translations):
    """In Python 3.10, expressions cannot have the quotes that are around the text."""
    for key, text in translated(translations).items():
        for quote in "'\"":
            if quote not in outside_braces(key[-1]):
                assert quote not in outside_braces(text), text
        inside, before = "".join(braces(text)), "".join(braces(key[-1]))
        assert not ("'" in inside and '"' in inside), text
        if "'" in before or '"' in before:
            assert ("'" in inside) <= ("'" in before), text
            assert ('"' in inside) <= ('"' in before), text
        assert not any("\\" in part for part in braces(text)), text


def test_plurals(language, translations):
    function, n_forms = {"si": ("plsi", {3, 4}), "de": ("pl", {2})}[language]
    n_plurals = 0
    for key, text in translated(translations).items():
        for name, number, _, forms in PLURAL.findall(text):
            n_plurals += 1
            assert name == function, text
            assert forms.count("|") + 1 in n_forms, text
            # Others might not be there where the text is put together.
            assert names(f"{{{number}}}") <= names(key[-1]) | {"len"}, text
    assert n_plurals > 50


SHOW = """
import importlib, os, pkgutil, sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from AnyQt.QtCore import QSettings

QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, sys.argv[1])
settings = QSettings(QSettings.IniFormat, QSettings.UserScope, "biolab.si", "Orange")
settings.setValue("application/language", sys.argv[2])
settings.sync()

from AnyQt.QtWidgets import QApplication, QComboBox
from Orange.data import Table
from orangecanvas.application.settings import UserSettingsDialog
from orangecanvas.help.manager import create_html_inventory_provider
from orangecontrib import imageanalytics

application = QApplication([])
name = imageanalytics.__name__
for module in pkgutil.walk_packages(imageanalytics.__path__, f"{name}."):
    importlib.import_module(module.name)
from orangecontrib.imageanalytics import widgets
from orangecontrib.imageanalytics.widgets.folders.import_summary import summary
from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid

value = f"{widgets.__name__}:WIDGET_HELP_PATH"
help_pages = create_html_inventory_provider(EntryPoint("html-index", value, ""))
found, n_widgets = set(), 0
for module in pkgutil.iter_modules(widgets.__path__, f"{widgets.__name__}."):
    if ".ow" in module.name:
        own = vars(sys.modules[module.name]).values()
        (widget,) = (w for w in own if hasattr(w, "want_main_area") and w.name
                     and w.__module__ == module.name)
        n_widgets += 1
        found.add(help_pages.search(SimpleNamespace(name=widget.name)).toLocalFile())

print(imageanalytics.__path__[0])
print(n_widgets, sum(map(os.path.isfile, found)))
dialog = UserSettingsDialog()
choice = dialog.findChild(QComboBox, "combo-language")
print(*(choice.itemText(index) for index in range(choice.count())))
print(widgets.NAME, OWImageGrid.name, OWImageGrid.Inputs.data_subset.name, sep=", ")
importer = SimpleNamespace(unmatched=(), skipped=(), left_out=(), has_more=())
print(summary(importer, Table("iris")[:2], 1))
print(summary(importer, Table("iris")[[0] * 1200], 1))

from orangecanvas.registry import WidgetRegistry
from orangecanvas.scheme import Scheme, readwrite
from orangewidget.workflow.discovery import WidgetDiscovery

registry, scheme = WidgetRegistry(), Scheme()
WidgetDiscovery(registry).process_category_package(widgets.__name__)
with open(sys.argv[3], "rb") as file:
    readwrite.scheme_load(scheme, file, registry)
print(len(scheme.links))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The package as it is installed."""
    folder = tmp_path_factory.mktemp("built")
    package = folder / "orangecontrib" / "imageanalytics"
    options = ["--conf", os.path.join(ROOT, "i18n", "trubar-config.yaml")]
    arguments = ["translate", "-q", "-s", SOURCE, "-d", str(package), "msgs.jaml"]
    command = [sys.executable, "-m", "trubar", *options, *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder


def run_built(built, code, *arguments):
    """The lines that a Python prints which has the built package."""
    environment = {**os.environ, "PYTHONPATH": str(built), "PYTHONUTF8": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        cwd=built,
        capture_output=True,
        encoding="utf-8",
    )
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.splitlines()


@pytest.mark.parametrize(
    ("name", "names", "few", "many"),
    [
        (
            "English",
            "Image Analytics, Image Grid, Data Subset",
            "2 images / 3 categories",
            "1,200 images / 3 categories",
        ),
        (
            "Slovenščina",
            "Analiza slik, Mreža slik, Podskupina podatkov",
            "2 sliki / 3 kategorije",
            "1\N{NO-BREAK SPACE}200 slik / 3 kategorije",
        ),
        (
            "Deutsch",
            "Bildanalyse, Bildraster, Datenauswahl",
            "2 Bilder / 3 Kategorien",
            "1\N{NO-BREAK SPACE}200 Bilder / 3 Kategorien",
        ),
    ],
)
def test_language_is_that_of_orange(built, tmp_path, name, names, few, many):
    workflow = tmp_path / "old.ows"
    with open(OLD_WORKFLOW, encoding="utf-8") as file:  # from before there were ids
        text = re.sub(r' \w+_channel_id="\w+"', "", file.read())
    workflow.write_text(text, encoding="utf-8")
    shown = run_built(built, SHOW, tmp_path, name, workflow)
    path, helped, choice, *lines, n_links = shown[-7:]
    assert path.startswith(str(built))
    assert len({*helped.split()}) == 1  # F1 leads to the page of each widget
    assert {*choice.split()} == {"English", "Slovenščina", "Deutsch"}
    assert lines == [names, few, many]
    assert int(n_links) == text.count("<link ") == 4


WITHOUT_QT = """
import importlib, sys

class NoQt:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {"PyQt5", "PyQt6", "PySide2", "PySide6"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NoQt)
package = "orangecontrib.imageanalytics"
for name in ("__main__", "import_images", "image_embedder", "save_images", "twins"):
    importlib.import_module(f"{package}.{name}")
heavy = {"torch", "orangewidget", "Orange.widgets", "httpx", "pillow_heif"}
print(*heavy & set(sys.modules))
from orangecontrib.imageanalytics.i18n.translator import _tr
print(_tr.m[0])
data, _ = sys.modules[f"{package}.import_images"].ImportImages()(sys.argv[1])
with sys.modules[f"{package}.image_embedder"].ImageEmbedder(device="cpu") as embedder:
    embedded, skipped, n_skipped = embedder(data[:2], col="image")
print(len(embedded), n_skipped)
"""


def test_scripts_need_no_qt(built):
    """As on a cluster; importing what they need is as quick as from the source."""
    photos = built / "orangecontrib" / "imageanalytics" / "tutorials" / "new-photos"
    assert run_built(built, WITHOUT_QT, photos)[-3:] == ["", "English", "2 0"]


UNKNOWN = """
import importlib, os, sys
from AnyQt.QtCore import QSettings

def language(folder):
    QSettings.setPath(QSettings.IniFormat, QSettings.UserScope, folder)
    from orangecontrib.imageanalytics.i18n import translator
    return importlib.reload(translator)._tr.m[0]

def written(name, content):
    folder = os.path.join(sys.argv[1], name, "biolab.si")
    os.makedirs(folder)
    with open(os.path.join(folder, "Orange.ini"), "wb") as file:
        file.write(content)
    return os.path.dirname(folder)

print(language(written("known", b"[application]\\nlanguage=Deutsch")))
print(language(written("unknown", b"[application]\\nlanguage=Klingon")))
print(language(written("none", b"")))
print(language(written("damaged", bytes(range(256)) * 9)))
folder = os.path.join(sys.argv[1], "unreadable")
os.makedirs(os.path.join(folder, "biolab.si", "Orange.ini"))
print(language(folder))
"""


def test_english_where_the_language_is_unknown(built, tmp_path):
    assert run_built(built, UNKNOWN, tmp_path) == ["Deutsch", *["English"] * 4]
