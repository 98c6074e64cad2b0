"""XMP, the properties of a photo as XML."""

from __future__ import annotations

from contextlib import suppress
from xml.parsers import expat

#: Larger packets hold more than properties, such as other images.
MAX_BYTES = 4_000_000
_MAX_TEXT = 1000
_PREFIXES = {
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://cipa.jp/exif/1.0/": "exifEX",
    "http://ns.adobe.com/exif/1.0/aux/": "aux",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/xap/1.0/": "xmp",
}


def read_xmp(packet: bytes) -> dict[str, str]:
    """
    The simple properties in a packet.

    Parameters
    ----------
    packet : bytes
        XML; whatever it is, no error is raised.

    Returns
    -------
    dict of str to str
        Values of properties such as ``exif:FNumber``; the first of an array.
    """
    properties = _Properties()
    if len(packet) <= MAX_BYTES:
        # Files often fill packets up with zeros.
        properties.read(packet.rstrip(b"\0"))
    return properties.found


class _Refused(Exception):
    """It defines entities, which could become any amount of text."""


class _Properties:
    def __init__(self):
        self.found: dict[str, str] = {}
        self._open: list[str] = []
        self._text = ""

    def read(self, packet: bytes) -> None:
        """Add properties up to the first error."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text
        with suppress(expat.ExpatError, _Refused, ValueError, LookupError):
            parser.Parse(packet, True)

    @staticmethod
    def _refuse(*_):
        raise _Refused

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(_short(name))
        self._text = ""
        for attribute, value in attributes.items():
            self._add(_short(attribute), value)

    def _add_text(self, text: str) -> None:
        if len(self._text) < _MAX_TEXT:
            self._text += text

    def _end(self, _name: str) -> None:
        # The innermost of these is a property; in it may be an array.
        named = next((name for name in reversed(self._open) if name), "")
        self._add(named, self._text)
        self._open.pop()
        self._text = ""

    def _add(self, name: str, text: str) -> None:
        if name and text.strip():
            self.found.setdefault(name, text.strip()[:_MAX_TEXT])


def _short(name: str) -> str:
    """The name of a property with its usual prefix; empty for other names."""
    namespace, _, local = name.rpartition(" ")
    prefix = _PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else ""
