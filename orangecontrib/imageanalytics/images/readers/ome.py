"""The channels as described in the XML of an OME-TIFF."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

_MAX_XML = 100_000_000


@dataclass(frozen=True)
class Channel:
    """A channel: its name and its colour as red, green and blue, if known."""

    name: str = ""
    colour: tuple[int, int, int] | None = None


def channels(xml: str | None, image: int) -> list[Channel]:
    """
    Channels of an image.

    Parameters
    ----------
    xml : str or None
        The metadata, as in the OME schema of any year.
    image : int
        Number of the image, from 0.

    Returns
    -------
    list of Channel
        In their order; empty if nothing is said, or nothing that can be read.
    """
    if not xml or len(xml) > _MAX_XML:
        return []
    try:
        root = ElementTree.fromstring(xml)
        images = [e for e in root if _local(e) == "Image"]
        pixels = next(e for e in images[image] if _local(e) == "Pixels")
        return [_channel(e) for e in pixels if _local(e) == "Channel"]
    except (ElementTree.ParseError, IndexError, StopIteration, ValueError):
        return []


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _channel(element: ElementTree.Element) -> Channel:
    name, colour = element.get("Name", ""), element.get("Color")
    if colour is None:
        return Channel(name)
    rgba = int(colour) & 0xFFFFFFFF
    return Channel(name, (rgba >> 24, rgba >> 16 & 255, rgba >> 8 & 255))
