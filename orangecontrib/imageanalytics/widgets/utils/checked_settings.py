"""Settings that are checked when a widget opens.

Saved settings may come from another version, another computer or a file that somebody
edited. A setting is valid if its value is of the annotated type and passes the check
``valid``, where there is one::

    settingsHandler = CheckedDomainContextHandler()
    quality: int = Setting(90, valid=between(1, 100))
    fit: str = Setting("keep", valid=one_of("keep", "crop"))

Other values are replaced by the default, and the widget finds them in its attribute
``replaced_settings``.
"""

import copy
import inspect
import logging
import math
import numbers
import pickle
import types
import typing
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from Orange.data import Variable
from Orange.widgets.settings import (
    Context,
    ContextHandler,
    ContextSetting,
    DomainContextHandler,
    IncompatibleContext,
    Setting,
    SettingProvider,
    SettingsHandler,
)
from orangewidget.settings import VERSION_KEY

log = logging.getLogger(__name__)


def one_of(*choices) -> Callable[[object], bool]:
    """A check that a value is one of the choices."""
    return lambda value: value in choices


def between(least, most) -> Callable[[object], bool]:
    """A check that a number is within a range, limits included."""
    return lambda value: least <= value <= most


def all_between(least, most) -> Callable[[object], bool]:
    """A check that all numbers in a sequence of sequences are within a range."""
    return lambda rows: all(least <= value <= most for row in rows for value in row)


def limit(stored: dict, name: str, least: int, most: int) -> None:
    """
    Bring a saved whole number into a range, or drop what is no number.

    Parameters
    ----------
    stored : dict
        Saved settings, which are changed.
    name : str
        Name of the setting; it may be missing.
    least, most : int
        The range, limits included.
    """
    number = stored.get(name)
    if isinstance(number, int | float):
        stored[name] = int(max(least, min(number, most)))
    else:
        stored.pop(name, None)


class CheckedSettings:
    """A mixin for handlers of settings; see the module."""

    def analyze_settings(self, provider: SettingProvider, prefix: str):
        """Keep what classes declare; defaults follow the user's last choice."""
        for name, setting in provider.settings.items():
            setting.declared = copy.copy(setting.default)
            setting.kind = _annotation(provider.provider_class, name)
            if setting.kind is None:
                setting.kind = _usual_kind(setting)
        super().analyze_settings(provider, prefix)

    def initialize(self, instance, data: dict | bytes | None = None):
        """Initialize a widget, or a part of it, and replace what is not valid."""
        super().initialize(instance, _as_dict(data))
        instance.replaced_settings = {}
        for name, setting in self._select_provider(instance).settings.items():
            value = getattr(instance, name)
            if not is_valid(setting, value):
                log.info("%s: no valid setting %s: %r", type(instance), name, value)
                instance.replaced_settings[name] = value
                setattr(instance, name, copy.copy(setting.declared))

    def _add_defaults(self, data: dict | None) -> dict:
        data = dict(super()._add_defaults(data))
        for part in self.provider.providers:  # such as a graph
            if not isinstance(data.get(part, {}), dict):
                del data[part]
        return data

    def _migrate_settings(self, settings: dict | None):
        # Orange would open a window that asks the user to report an error.
        if settings:
            version = settings.pop(VERSION_KEY, 0)
            try:
                self.widget_class.migrate_settings(settings, version)
            except Exception:
                log.info("%s: settings of no use", self.widget_class, exc_info=True)
                settings.clear()


class CheckedContexts(CheckedSettings):
    """As `CheckedSettings`, for handlers with contexts."""

    def initialize(self, instance, data: dict | bytes | None = None):
        """Initialize the settings of a widget; contexts that are none are left out."""
        data = _as_dict(data)
        if data and not isinstance(data.get("context_settings", []), list):
            data = {key: data[key] for key in data if key != "context_settings"}
        super().initialize(instance, data)

    def _migrate_contexts(self, contexts: list):
        contexts[:] = filter(self._can_be_migrated, contexts)

    def _can_be_migrated(self, context: Context) -> bool:
        try:
            version = context.values.pop(VERSION_KEY, 0)
            self.widget_class.migrate_context(context, version)
            return True
        except IncompatibleContext:
            return False
        except Exception:
            log.info("%s: a context of no use", self.widget_class, exc_info=True)
            return False

    def match(self, context: Context, *args):
        """As in Orange; what cannot be compared does not match."""
        try:
            return super().match(context, *args)
        except Exception:
            log.info("%s: a context of no use", self.widget_class, exc_info=True)
            return ContextHandler.NO_MATCH

    def decode_setting(self, setting: Setting, value, *args):
        """As in Orange; the default for what is not valid, or is in no list."""
        with suppress(Exception):
            decoded = super().decode_setting(setting, value, *args)
            if is_valid(setting, decoded) and not _is_hidden(decoded):
                return decoded
        log.info("%s: no valid setting %s: %r", self.widget_class, setting.name, value)
        return copy.copy(setting.declared)


class CheckedSettingsHandler(CheckedSettings, SettingsHandler):
    """The handler for widgets without contexts."""


class CheckedDomainContextHandler(CheckedContexts, DomainContextHandler):
    """The handler for widgets whose contexts are domains."""


def is_valid(setting: Setting, value) -> bool:
    """Whether a widget can use a value of a setting."""
    if value is None and setting.declared is None:
        return True
    valid = getattr(setting, "valid", None)
    with suppress(Exception):  # of a comparison, for whatever value there may be
        if setting.kind is None or _is_of(value, setting.kind):
            return valid is None or bool(valid(value))
    return False


def _is_hidden(value) -> bool:
    """Whether it is a number that lists of columns leave out, as those of vectors."""
    if not isinstance(value, Variable):
        return False
    return value.is_continuous and bool(value.attributes.get("hidden"))


def _as_dict(data) -> dict | None:
    """Settings as Orange hands them over; None if they are none."""
    with suppress(Exception):
        if isinstance(data, bytes):
            data = pickle.loads(data)  # as Orange does
    return data if isinstance(data, dict) else None


def _usual_kind(setting: Setting) -> type | None:
    """The type of a setting without annotation, as in Orange's own base classes."""
    if setting.default is not None:
        return type(setting.default)
    return Variable if isinstance(setting, ContextSetting) else None


def _annotation(cls: type, name: str):
    """The type that a class or its bases give for an attribute; None if none does."""
    for base in cls.__mro__:
        if name in vars(base):
            # Some bases name types that are imported for type checkers only.
            with suppress(Exception):
                return inspect.get_annotations(base, eval_str=True).get(name)
            return None
    return None


def _is_of(value, kind) -> bool:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_is_of(value, argument) for argument in arguments)
    if origin in (list, set, frozenset):
        return isinstance(value, origin) and all(
            _is_of(item, arguments[0]) for item in value
        )
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(arguments)
            and all(map(_is_of, value, arguments))
        )
    if kind is bool:  # Qt's check boxes used to be saved as numbers
        return isinstance(value, bool | np.bool_ | int) and value in (0, 1)
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if kind is float:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        return is_number and math.isfinite(value)
    kind = origin or kind
    return isinstance(value, kind) if isinstance(kind, type) else True
