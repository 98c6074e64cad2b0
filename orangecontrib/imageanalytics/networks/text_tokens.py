"""Turn texts into tokens with the files of a tokenizer.

open_clip reads such files with the package transformers, which may download some, run
code that comes with them and takes long to import. The package tokenizers, on which
transformers builds, gives the same numbers.

Importing this imports neither of them, nor torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.errors import ModelError, first_line

if TYPE_CHECKING:
    from torch import Tensor

INSTALL = 'pip install "Orange3-ImageAnalytics[words]"'
#: The tokenizer and its settings, as transformers names them.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class FileTokenizer:
    """A tokenizer in files, as ``open_clip.tokenizer.HFTokenizer``.

    Parameters
    ----------
    path : str
        Path of ``tokenizer.json``.
    config_path : str
        Path of ``tokenizer_config.json``.
    context_length : int
        Number of tokens of each text. Longer texts are cut, shorter ones filled up.
    name : str
        Name of the network, for messages.
    clean : str
        How open_clip cleans texts first.

    Raises
    ------
    ModelError
        When a file cannot be read, or the package tokenizers is missing.
    """

    def __init__(
        self,
        path: str,
        config_path: str,
        context_length: int,
        name: str,
        clean: str = "whitespace",
    ):
        from open_clip.tokenizer import get_clean_fn

        self._clean = get_clean_fn(clean)
        self._tokenizer = _read_tokenizer(path, name)
        config = _read_config(config_path, name)
        try:
            self._set_ends(config)
            self._set_length(config, context_length)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{name}: {config_path} is not for the tokenizer {path}: {error}"
            ) from error

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Numbers of tokens, int64, shape (n texts, context length)."""
        import torch

        encoded = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        return torch.tensor([tokens.ids for tokens in encoded], dtype=torch.long)

    def _set_ends(self, config: dict) -> None:
        """Add the first and last token of each text, if the settings name them.

        As transformers does, in whose ``tokenizer.json`` they may be missing.
        """
        from tokenizers.processors import TemplateProcessing

        if "add_bos_token" not in config and "add_eos_token" not in config:
            return
        ends = {
            key: _content(config[f"{key}_token"])
            for key in ("bos", "eos")
            if config.get(f"add_{key}_token")
        }
        template = [ends.get("bos"), "$A", ends.get("eos")]
        self._tokenizer.post_processor = TemplateProcessing(
            single=[part for part in template if part],
            special_tokens=[(end, self._number(end)) for end in ends.values()],
        )

    def _set_length(self, config: dict, context_length: int) -> None:
        pad = _content(config["pad_token"])
        self._tokenizer.enable_truncation(
            context_length, direction=config.get("truncation_side", "right")
        )
        self._tokenizer.enable_padding(
            direction=config.get("padding_side", "right"),
            pad_id=self._number(pad),
            pad_token=pad,
            length=context_length,
        )

    def _number(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"there is no token '{token}'")
        return number


def _content(token: str | dict) -> str:
    """A token of the settings, which may be described by a dictionary."""
    return token["content"] if isinstance(token, dict) else token


def _read_tokenizer(path: str, name: str):
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError(
            f"{name}: texts need the package tokenizers: {INSTALL} ({error})"
        ) from error
    try:
        return Tokenizer.from_file(path)
    except Exception as error:  # the package has no narrower class
        raise ModelError(
            f"{name}: the tokenizer {path} cannot be read: {first_line(error)}"
        ) from error


def _read_config(path: str, name: str) -> dict:
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (OSError, ValueError) as error:
        raise ModelError(f"{name}: {path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"{name}: {path} holds no settings of a tokenizer")
    return config
