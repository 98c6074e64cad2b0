import json
import os
import sys

import pytest

pytest.importorskip("open_clip")
pytest.importorskip("tokenizers")

import word_networks

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.text_tokens import (
    TOKENIZER_FILES,
    FileTokenizer,
)

LENGTH = 16
#: What open_clip's HFTokenizer gives for these files, with transformers 4.57.6.
TOKENS = {
    "a red dog": [260, 303, 309, 303, 305, 1],
    "": [1],
    "  ": [1],
    "Kočka in pes, na žogo!": [
        *(270, 274, 290, 270, 260, 303, 268, 273),
        *(303, 315, 278, 303, 273, 260, 303, 1),
    ],
    "كلب": [221, 135, 221, 136, 220, 172, 1],
    "🐕": [244, 163, 148, 153, 1],
    "dog_cat &amp; e\u0301tude": [305, 303, 307, 303, 199, 173, 279, 280, 263, 264, 1],
    "a dog " * 10: [
        *(260, 303, 305, 303, 260, 303, 305, 303),
        *(260, 303, 305, 303, 260, 303, 305, 1),
    ],
    "<eos> a <bos>": [264, 274, 278, 303, 260, 303, 261, 274, 278, 1],
}


def write(folder, **options):
    """The files of a tokenizer; their paths."""
    for name, content in word_networks.tokenizer_files(**options).items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in TOKENIZER_FILES]


def make(paths):
    return FileTokenizer(*paths, LENGTH, "Tiny", clean="canonicalize")


@pytest.mark.parametrize("with_end", [True, False])
def test_tokens_are_those_of_open_clip(tmp_path, with_end):
    tokens = make(write(tmp_path, with_end=with_end))(list(TOKENS))
    assert tokens.shape == (len(TOKENS), LENGTH)
    for found, expected in zip(tokens.tolist(), TOKENS.values(), strict=True):
        assert found == expected + [0] * (LENGTH - len(expected))


def test_open_clip_with_transformers(tmp_path):
    pytest.importorskip("transformers")
    from open_clip.tokenizer import HFTokenizer

    paths = write(tmp_path, with_end=True)
    theirs = HFTokenizer(str(tmp_path), context_length=LENGTH, clean="canonicalize")
    assert make(paths)(list(TOKENS)).tolist() == theirs(list(TOKENS)).tolist()


def test_settings(tmp_path):
    described = {"content": "<bos>", "special": True}
    options = {
        "add_bos_token": True,
        "bos_token": described,
        "pad_token": "<unk>",
        "padding_side": "left",
    }
    tokens = make(write(tmp_path, **options))(["dog"])
    assert tokens.tolist() == [[3] * (LENGTH - 3) + [2, 305, 1]]


def test_ends_of_the_file_itself(tmp_path):
    paths = write(tmp_path, with_end=True)
    config = json.loads((tmp_path / TOKENIZER_FILES[1]).read_bytes())
    config = {key: value for key, value in config.items() if "add_" not in key}
    (tmp_path / TOKENIZER_FILES[1]).write_text(json.dumps(config))
    assert make(paths)(["dog"])[0, :3].tolist() == [305, 1, 0]


@pytest.mark.parametrize("file", TOKENIZER_FILES)
@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff", b'{"model": '])
def test_damaged_files(tmp_path, file, content):
    paths = write(tmp_path)
    if content is None:
        os.remove(tmp_path / file)
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError) as error:
        make(paths)
    assert "Tiny" in str(error.value)
    assert str(tmp_path / file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("settings", [{"pad_token": "<none>"}, {"eos_token": None}])
def test_settings_of_another_tokenizer(tmp_path, settings):
    with pytest.raises(ModelError, match="is not for the tokenizer"):
        make(write(tmp_path, **settings))


def test_without_tokenizers(tmp_path, monkeypatch):
    paths = write(tmp_path)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError, match=r"Tiny: .*pip install .*\[words\]"):
        make(paths)
