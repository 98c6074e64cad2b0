import base64
import gzip
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO

import pytest
from helpers import modules_of_windows
from PIL import Image

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import Header, decode, read_header
from orangecontrib.imageanalytics.images.readers import svg

XLINK = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
RED = '<rect width="100%" height="100%" fill="red"/>'


def drawing(body=RED, attributes='width="20" height="10"'):
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {XLINK} {attributes}>'
    return f"{start}{body}</svg>".encode()


def png(colour, size=(4, 4)):
    stream = BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('width="20" height="10"', (20, 10)),
        ('width="20px" height="10.6"', (20, 11)),
        ('width="1in" height="72pt"', (96, 96)),
        ('width="25.4mm" height="2.54cm"', (96, 96)),
        ('width="1e2" height="+2em"', (100, 32)),
        ('viewBox="0 0 30 20"', (30, 20)),
        ('viewBox="0,0,30,20" width="100%" height="100%"', (30, 20)),
        ('viewBox="0 0 30 20" width="60"', (60, 40)),
        ('viewBox="0 0 30 20" height="10"', (15, 10)),
        ('width="40"', (40, 150)),
        ("", (300, 150)),
        ('viewBox="broken" width="auto"', (300, 150)),
        ('width="0.1" height="5"', (1, 5)),
        ('style="width: 2in; height:50px !important"', (192, 50)),
        ('width="9" height="20" style="fill:red;width:40px"', (40, 20)),
        ('width="9" height="20" style="width:100%;stroke-width:7"', (9, 20)),
    ],
)
def test_size(attributes, expected):
    content = drawing(attributes=attributes)
    assert svg.size(content) == expected
    assert svg.render(content).size == expected
    assert decode(content).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("attributes", ['width="0" height="9"', 'width="1e400"'])
def test_impossible_sizes(attributes):
    with pytest.raises(ImageError, match="size"):
        svg.size(drawing(attributes=attributes))


@pytest.mark.parametrize(
    ("at_least", "expected"),
    [((40, 10), (40, 20)), ((5, 5), (10, 5)), ((1, 1), (2, 1)), ((7, 7), (14, 7))],
)
def test_scaled_to_cover(at_least, expected):
    half = '<rect x="10" width="10" height="10" fill="red"/>'
    image = svg.render(drawing(half), at_least)
    assert image.size == expected
    assert image.getpixel((0, 0))[3] == 0
    assert image.getpixel((expected[0] - 1, 0)) == (255, 0, 0, 255)


def test_huge(tmp_path):
    content = drawing(attributes='width="1000000" height="500000"')
    (tmp_path / "a.svg").write_bytes(content)
    assert read_header(str(tmp_path / "a.svg")) == Header("SVG", 1000000, 500000)
    assert svg.render(content).size == (svg.MAX_SIDE, svg.MAX_SIDE / 2)
    assert svg.render(content, (10**6, 10**6)).size == (svg.MAX_SIDE, svg.MAX_SIDE / 2)
    assert svg.render(drawing(attributes='width="1" height="9000"'), (224, 224)).size


def test_transparency_and_text_on_white():
    assert decode(drawing("")).getpixel((3, 3)) == (255, 255, 255)
    text = '<text x="0" y="9" font-size="12">&#9608;M</text>'
    assert svg.render(drawing(text)).mode == "RGBA"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding):
    name = encoding.replace("-sig", "")
    text = (
        f'<?xml version="1.0" encoding="{name}"?>\n<!-- ščž -->'.replace("ščž", "é")
        + drawing().decode()
    )
    content = text.encode(encoding)
    assert svg.size(content) == (20, 10)
    assert decode(content).getpixel((0, 0)) == (255, 0, 0)


def test_compressed(tmp_path):
    content = gzip.compress(drawing(), mtime=0)
    path = tmp_path / "a.svgz"
    path.write_bytes(content)
    assert read_header(str(path)) == Header("SVG", 20, 10)
    assert decode(content).getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(ImageError):
        decode(content[:-40])


def test_compressed_bomb():
    filling = b" " * (svg.MAX_BYTES + 1)
    with pytest.raises(ImageError, match="more than 50 MB"):
        decode(gzip.compress(drawing().replace(b"</svg>", filling + b"</svg>"), 1))


def test_prefixed_and_without_namespace():
    body = '<s:rect width="20" height="10" fill="red"/>'
    prefixed = (
        f'<s:svg xmlns:s="http://www.w3.org/2000/svg" width="20" height="10">{body}'
    )
    assert decode(f"{prefixed}</s:svg>".encode()).getpixel((5, 5)) == (255, 0, 0)
    bare = f'<svg width="20" height="10">{RED}</svg>'
    assert decode(bare.encode()).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"<html><svg/></html>",
        b"<?xml version='1.0'?><note/>",
        b"<",
        gzip.compress(b"text", mtime=0),
        b"\x1f\x8b",
    ],
)
def test_not_a_drawing(content, tmp_path):
    (tmp_path / "a.svg").write_bytes(content)
    for read, what in ((decode, content), (read_header, str(tmp_path / "a.svg"))):
        with pytest.raises(ImageError, match="not an image"):
            read(what)


@pytest.mark.parametrize("cut", [-1, -20, 130])
def test_damaged(cut):
    with pytest.raises(ImageError, match="damaged SVG"):
        decode(drawing()[:cut])


@pytest.fixture
def server():
    """Address of a server that counts what is asked of it, and the requests."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png("blue"))

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", requests
        http.shutdown()


OUTSIDE = [
    '<image {href}="{url}" width="20" height="10"/>',
    '<use {href}="{url}#x"/>',
    '<filter id="f"><feImage {href}="{url}"/></filter>'
    '<rect width="20" height="10" filter="url(#f)"/>',
    '<rect width="20" height="10" fill="url({url}#p)"/>',
    '<rect width="20" height="10" style="fill: url( \'{url}#p\' )"/>',
    '<style>@import "{url}"; rect {{ fill: url({url}) }}</style>',
    '<style>@font-face {{ font-family: F; src: url("{url}") }}</style>'
    '<text font-family="F" y="9">a</text>',
    '<script {href}="{url}"/>',
    '<foreignObject><img src="{url}"/></foreignObject>',
    '<g xml:base="{url}"><image {href}="x.png" width="20" height="10"/></g>',
    '<linearGradient id="g" {href}="{url}#g"/>'
    '<rect width="9" height="9" fill="url(#g)"/>',
]


@pytest.mark.parametrize("href", ["href", "xlink:href"])
@pytest.mark.parametrize("body", OUTSIDE)
def test_nothing_is_fetched_or_read(body, href, server, tmp_path):
    (tmp_path / "blue.png").write_bytes(png("blue", (20, 10)))
    (tmp_path / "blue.svg").write_bytes(drawing(RED.replace("red", "blue")))
    address, requests = server
    local = str(tmp_path / "blue.png")
    uri = (tmp_path / "blue.svg").as_uri()
    for url in (f"{address}/a.png", local, f"file://{local}", uri, " " + local):
        content = drawing(body.format(href=href, url=url))
        stylesheet = f'<?xml-stylesheet href="{address}/s.css"?>'
        doctype = f'<!DOCTYPE svg SYSTEM "{address}/svg.dtd">'
        image = decode((stylesheet + doctype).encode() + content)
        assert (0, 0, 255) not in {colour for _, colour in image.getcolors()}
    assert requests == []


def test_the_copy_names_nothing_outside():
    copy = svg._HarmlessCopy(None)
    href = {"href": "/etc/x.png", "style": "mask:url(http://h/#a);fill:url(#b)"}
    copy.start("svg", {"width": "9", "height": "9"})
    copy.start("image", dict(href))
    written = "".join(copy.parts)
    assert "/etc" not in written and "http://h" not in written
    assert "url(#b)" in written


def test_a_nested_data_url_is_not_followed(tmp_path):
    (tmp_path / "blue.png").write_bytes(png("blue", (20, 10)))
    inner = drawing(f'<image href="{tmp_path}/blue.png" width="20" height="10"/>')
    data = base64.b64encode(inner).decode()
    outer = drawing(f'<image href="data:image/svg+xml;base64,{data}"/>')
    assert decode(outer).getcolors() == [(200, (255, 255, 255))]


def test_what_is_inside_is_drawn():
    data = base64.b64encode(png("blue", (20, 10))).decode()
    image = f'<image xlink:href="data:image/png;base64,{data}" width="20" height="10"/>'
    assert decode(drawing(image)).getpixel((5, 5)) == (0, 0, 255)
    gradient = '<linearGradient id="g"><stop stop-color="red"/></linearGradient>'
    body = gradient + '<rect id="r" width="9" height="9" fill="url(#g)"/>'
    image = decode(drawing(body + '<use href="#r" x="10"/>'))
    assert image.getpixel((4, 4)) == image.getpixel((14, 4)) == (255, 0, 0)
    style = "<style>rect { fill: red }</style><rect width='20' height='10'/>"
    assert decode(drawing(style)).getpixel((4, 4)) == (255, 0, 0)


def test_entities():
    doctype = (
        b'<!DOCTYPE svg [<!ENTITY c "red"><!ENTITY x SYSTEM "file:///etc/passwd">]>'
    )
    content = doctype + drawing(RED.replace("red", "&c;") + "<desc>&x;</desc>")
    assert decode(content).getpixel((4, 4)) == (255, 0, 0)


def test_entity_bombs():
    nested = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    doctype = f'<!DOCTYPE svg [<!ENTITY e0 "0123456789">{nested}]>'.encode()
    with pytest.raises(ImageError, match="entities"):
        decode(doctype + drawing("<desc>&e11;</desc>"))
    doctype = f'<!DOCTYPE svg [<!ENTITY long "{"x" * 100_000}">]>'.encode()
    with pytest.raises(ImageError):
        decode(doctype + drawing("<desc>" + "&long;" * 10_000 + "</desc>"))


def use_bomb():
    layers = "".join(
        f'<g id="g{i}">{f"""<use href="#g{i - 1}"/>""" * 10}</g>' for i in range(1, 12)
    )
    return f'<defs><g id="g0">{RED}</g>{layers}</defs><use href="#g11"/>'


def chain(kind, link, attributes="", n=1000):
    return (
        "".join(
            f'<{kind} id="c{i}" {attributes}><rect width="9" height="9" '
            f'{link}="url(#c{i - 1})"/></{kind}>'
            for i in range(1, n)
        )
        + f'<rect width="9" height="9" {link}="url(#c{n - 1})"/>'
    )


PATTERN = 'width="9" height="9" patternUnits="userSpaceOnUse"'
BOMBS = {
    "nested": "<g>" * 100_000 + "</g>" * 100_000,
    "many uses": use_bomb(),
    "large pattern": '<pattern id="p" width="1e8" height="1e6" '
    f'patternUnits="userSpaceOnUse">{RED}</pattern>'
    '<rect width="20" height="10" fill="url(#p)"/>',
    "scaled pattern": '<pattern id="p" width="9" height="9" '
    'patternTransform="scale(1000)" patternUnits="userSpaceOnUse">'
    f'{RED}</pattern><g transform="matrix(1000 0 0 1000 0 0)">'
    '<rect width="20" height="10" fill="url(#p)"/></g>',
    "many masks": chain("mask", "mask", n=100_000),
    "large image": '<image href="data:image/png;base64,{}"/>',
}


@pytest.mark.parametrize("name", BOMBS)
def test_other_bombs(name):
    body = BOMBS[name]
    if name == "large image":
        stream = BytesIO()
        Image.new("1", (8000, 8000)).save(stream, "PNG")
        body = body.format(base64.b64encode(stream.getvalue()).decode())
    with pytest.raises(ImageError):
        decode(drawing(body))


@pytest.mark.parametrize(
    "body",
    [
        '<g opacity="0.9">' * 450 + RED + "</g>" * 450,
        '<svg x="1">' * 300 + RED + "</svg>" * 300,
        chain("mask", "mask"),
        chain("pattern", "fill", PATTERN),
        chain("clipPath", "clip-path"),
        '<use id="u" href="#u"/>' + RED,
    ],
    ids=["groups", "svgs", "masks", "patterns", "clips", "self"],
)
def test_deep_drawings_in_a_small_thread(body):
    outcome = []

    def run():
        try:
            outcome.append(decode(drawing(body)).size)
        except ImageError as error:
            outcome.append(error)

    previous = threading.stack_size(512 << 10)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    assert outcome == [(20, 10)] or isinstance(outcome[0], ImageError)


@pytest.mark.parametrize("element", ["g", "svg", "desc"])
def test_nested_too_deeply(element):
    def nested(depth):
        return drawing(f"<{element}>" * depth + RED + f"</{element}>" * depth)

    assert decode(nested(svg.MAX_DEPTH - 2)).size == (20, 10)
    with pytest.raises(ImageError, match="nested"):
        decode(nested(svg.MAX_DEPTH))


def test_lengths_in_units():
    body = (
        '<rect x="5mm" y="0.5cm" width="72pt" height="1in" fill="lime"/>'
        '<rect width="2pc" height="12pt" fill="blue"/>'
    )
    image = decode(drawing(body, 'width="60mm" height="40mm"'))
    assert image.size == (227, 151)
    assert image.getpixel((25, 25)) == image.getpixel((110, 110)) == (0, 255, 0)
    assert image.getpixel((120, 60)) == image.getpixel((60, 120)) == (255, 255, 255)
    assert image.getpixel((30, 14)) == (0, 0, 255)


@pytest.mark.parametrize(
    "rect",
    [
        '<rect width="2rem" height="40q" fill="lime"/>',
        '<path d="M0 0V37.8" stroke="lime" style="stroke-width:4rem"/>',
        '<style>#q3 {stroke-width: 4rem}</style><path id="q3" d="M0 0V37.8" '
        'stroke="lime"/>',
    ],
)
def test_rare_units(rect):
    image = decode(drawing(rect, 'width="60" height="60"'))
    assert image.getpixel((30, 36)) == (0, 255, 0)
    assert image.getpixel((34, 30)) == image.getpixel((30, 40)) == (255,) * 3


@pytest.mark.parametrize(
    ("body", "is_drawn"),
    [
        (RED.replace("<rect", '<rect systemLanguage="en"'), True),
        (RED.replace("<rect", '<rect systemLanguage="en-GB, fr"'), True),
        (RED.replace("<rect", '<rect systemLanguage="EN-us"'), True),
        (RED.replace("<rect", '<rect systemLanguage="fr"'), False),
        (
            f'<switch><g systemLanguage="sl"/>{RED}<g systemLanguage="en"/></switch>',
            True,
        ),
    ],
)
def test_language(body, is_drawn):
    expected = (255, 0, 0) if is_drawn else (255, 255, 255)
    assert decode(drawing(body)).getpixel((5, 5)) == expected


@pytest.mark.parametrize(
    "family",
    ["Arial", "Nowhere Sans", "Nowhere, sans-serif", "serif", "monospace", "cursive"],
)
def test_text_in_a_font_that_is_not_installed(family):
    text = f'<text x="2" y="40" font-size="40" font-family="{family}">Hm</text>'
    image = decode(drawing(text, 'width="120" height="50"'))
    n_dark = sum(image.convert("L").point(lambda value: value < 128).histogram()[1:])
    assert 200 < n_dark < 3000


def test_notes_in_a_namespace_that_is_not_declared():
    body = f"<metadata><x:y/></metadata><title>a<x:b/></title>{RED}"
    assert decode(drawing(body)).getpixel((5, 5)) == (255, 0, 0)


def test_without_an_application():
    content = drawing('<text y="9">a</text>' + RED)
    code = (
        "import sys; from orangecontrib.imageanalytics.images.decode import decode\n"
        f"image = decode({content!r})\n"
        "assert image.getpixel((1, 1)) == (255, 0, 0)\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, check=True, timeout=60, capture_output=True)
    assert not modules_of_windows(loaded.stdout.decode().split())
