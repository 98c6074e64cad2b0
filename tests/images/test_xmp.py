"""XMP, whatever it is."""

import pytest

from orangecontrib.imageanalytics.images.xmp import MAX_BYTES, read_xmp

START = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
)
NAMES = (
    b' xmlns:t="http://ns.adobe.com/tiff/1.0/" xmlns:e="http://ns.adobe.com/exif/1.0/"'
)
END = b"</r:RDF></x:xmpmeta>"


def packet(attributes=b"", content=b""):
    return (
        START
        + b"<r:Description"
        + NAMES
        + attributes
        + b">"
        + content
        + (b"</r:Description>" + END)
    )


def test_attributes_and_elements_with_any_prefix():
    found = read_xmp(packet(b' t:Make="Canon"', b"<t:Model> EOS R5\n</t:Model>"))
    assert found == {"tiff:Make": "Canon", "tiff:Model": "EOS R5"}


def test_arrays():
    items = b"<r:li>200</r:li><r:li>400</r:li>"
    array = b"<e:ISOSpeedRatings><r:Seq>" + items + b"</r:Seq></e:ISOSpeedRatings>"
    assert read_xmp(packet(content=array)) == {"exif:ISOSpeedRatings": "200"}


def test_the_first_value_counts():
    content = b"<t:Make>Canon</t:Make><t:Make>Nikon</t:Make>"
    assert read_xmp(packet(content=content)) == {"tiff:Make": "Canon"}


def test_empty_values_and_other_names():
    content = b"<t:Make>  </t:Make><o:Make xmlns:o='other'>x</o:Make>"
    assert read_xmp(packet(b' t:Model=""', content)) == {}


def test_filled_up_with_zeros():
    assert read_xmp(packet(b' t:Make="A"') + bytes(100)) == {"tiff:Make": "A"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no XML",
        b"\xff\xfe\0<",
        b"<a" * 5000,
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b'<!DOCTYPE a [<!ENTITY b "x">]>' + packet(b' t:Make="&b;"'),
        b" " * (MAX_BYTES + 1),
    ],
)
def test_what_is_not_read(content):
    assert read_xmp(content) == {}


def test_up_to_the_first_error():
    whole = packet(b' t:Make="Canon"', b"<t:Model>R5</t:Model>")
    assert read_xmp(whole[: whole.index(b"R5")]).get("tiff:Make") == "Canon"


def test_long_texts_are_cut():
    found = read_xmp(packet(content=b"<t:Make>" + b"x" * 100_000 + b"</t:Make>"))
    assert found == {"tiff:Make": "x" * 1000}
