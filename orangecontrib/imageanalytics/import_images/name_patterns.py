"""The class of an image from the name of its file: ``cat_001.jpg`` is a cat."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import regex

from orangecontrib.imageanalytics.errors import ImageAnalyticsError

LONGEST = 500  # characters of a pattern
SECONDS = 0.5  # that a name may take; a good pattern needs some microseconds
_IN_NAMES = " _-.()"  # what stands between words and numbers

# What is tried on a name without its extension; the last group is the class.
PRESETS = {
    "start": r"(?P<class>[^_\d]+)",
    "before-number": r"(?P<class>.*?\p{L}.*?)[\s_.(-]*(?:\d+[\s)]*)?$",
    "after-number": r"\d++[\s_.)-]*+(?P<class>.+)",
}
_TEMPLATE_PART = regex.compile(r"\{[^{}]*\}|[*?#]|[^{*?#]+|.", regex.DOTALL)
_WILDCARDS = {"*": ".*", "?": ".", "#": r"\d+"}
_IS_REGULAR_EXPRESSION = re.compile(r"\(\?P?<")
_FLAGS = re.IGNORECASE | re.VERBOSE | re.DOTALL | re.MULTILINE | re.ASCII


class PatternError(ImageAnalyticsError, ValueError):
    """A pattern that cannot be used; the text says why, in plain words."""


class NamePattern:
    """
    Finds the class of an image in the name of its file.

    Parameters
    ----------
    pattern : str or re.Pattern
        One of

        - the name of a preset: ``"start"`` is the text before the first ``_`` or
          digit, ``"before-number"`` that before a number at the end, and
          ``"after-number"`` that after a number at the start of the name;
        - a template, such as ``"{class}_*"``. In it, ``*`` stands for any text,
          ``?`` for one character and ``#`` for a number. It describes the whole name,
          with or without the extension, in upper or lower case. The class is as short
          as it can be;
        - a regular expression with the group ``(?P<class>...)``, which is searched in
          the name with its extension.

    Raises
    ------
    PatternError
        It is not valid.
    """

    def __init__(self, pattern: str | re.Pattern):
        self.text = pattern if isinstance(pattern, str) else pattern.pattern
        flags = 0 if isinstance(pattern, str) else pattern.flags & _FLAGS
        if not isinstance(self.text, str) or not self.text.strip():
            raise PatternError("The pattern is empty. Write one such as {class}_*")
        if len(self.text) > LONGEST:
            raise PatternError(f"The pattern is longer than {LONGEST} characters.")
        if self.text in PRESETS:
            self._find = self._find_preset
            self._compiled = _compile(PRESETS[self.text], 0)
        elif flags or _IS_REGULAR_EXPRESSION.search(self.text):
            self._find = self._find_regular_expression
            self._compiled = _compile(self.text, flags)
        else:
            self._find = self._find_template
            template = _template(self.text)
            self._compiled = _compile(template, re.IGNORECASE | re.DOTALL)
        if "class" not in self._compiled.groupindex:
            raise PatternError(
                "The regular expression has no group (?P<class>...) for the class."
            )

    def __eq__(self, other):
        return isinstance(other, NamePattern) and self._compiled == other._compiled

    def __hash__(self):
        return hash(self._compiled)

    def class_of(self, name: str) -> str | None:
        """
        The class of an image.

        Parameters
        ----------
        name : str
            The name of its file, with the extension and without a folder.

        Returns
        -------
        str or None
            None if the name does not match.

        Raises
        ------
        PatternError
            Matching the name takes too long.
        """
        try:
            found = self._find(name)
        except TimeoutError as error:
            raise PatternError(
                f"The pattern takes too long for the name {name}. Make it simpler."
            ) from error
        return found or None

    def _find_preset(self, name: str) -> str:
        match = self._match(self._compiled.match, os.path.splitext(name)[0])
        return match["class"].strip(_IN_NAMES) if match else ""

    def _find_template(self, name: str) -> str:
        fullmatch = self._compiled.fullmatch
        match = self._match(fullmatch, os.path.splitext(name)[0])
        match = match or self._match(fullmatch, name)
        return match["class"].strip() if match else ""

    def _find_regular_expression(self, name: str) -> str:
        match = self._match(self._compiled.search, name)
        return (match["class"] or "").strip() if match else ""

    @staticmethod
    def _match(method: Callable, text: str):
        # Without the lock of Python, so that other threads can run meanwhile.
        return method(text, timeout=SECONDS, concurrent=True)


def _compile(expression: str, flags: int) -> regex.Pattern:
    try:
        return regex.compile(expression, flags)
    except regex.error as error:
        raise PatternError(f"The regular expression is not valid: {error}.") from error
    except (RecursionError, OverflowError, MemoryError) as error:
        raise PatternError("The regular expression is too complicated.") from error


def _template(text: str) -> str:
    """A template as a regular expression."""
    parts = _TEMPLATE_PART.findall(text.strip())
    fields = [part for part in parts if part.startswith("{") and part.endswith("}")]
    for part in fields:
        if part.lower() != "{class}":
            raise PatternError(f"{part} is not known. Only {{class}} is.")
    if not fields:
        raise PatternError(
            "There is no {class} in the pattern. Write it where the class stands, "
            "as in {class}_*"
        )
    if len(fields) > 1:
        raise PatternError("There is more than one {class} in the pattern.")
    return "".join(
        "(?P<class>.+?)" if part in fields else _WILDCARDS.get(part, regex.escape(part))
        for part in parts
    )


@dataclass
class ClassCounts:
    """
    The classes that a pattern finds in names.

    Attributes
    ----------
    counts : Counter
        Number of names of each class.
    examples : dict of str to str
        The first name of each class.
    unmatched : list of str
        The names without a class.
    """

    counts: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)


def count_classes(
    pattern: NamePattern,
    names: Iterable[str],
    cancelled: Callable[[], bool] = lambda: False,
) -> ClassCounts | None:
    """
    Try a pattern on names.

    Parameters
    ----------
    pattern : NamePattern
    names : iterable of str
        Names of files, as for `NamePattern.class_of`.
    cancelled : callable
        Asked before each name whether to stop.

    Returns
    -------
    ClassCounts or None
        None if cancelled.

    Raises
    ------
    PatternError
        Matching a name takes too long.
    """
    found = ClassCounts()
    for name in names:
        if cancelled():
            return None
        value = pattern.class_of(name)
        if value is None:
            found.unmatched.append(name)
        else:
            found.counts[value] += 1
            found.examples.setdefault(value, name)
    return found
