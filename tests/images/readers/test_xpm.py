import numpy as np
import pytest
from image_files import first_row, pixels, reason

from orangecontrib.imageanalytics.images.decode import Header, content_header


def xpm(*colours, rows=None, n_characters=1):
    keys = [chr(97 + n) * n_characters for n in range(len(colours))]
    rows = rows or ["".join(keys)]
    size = f"{len(rows[0]) // n_characters} {len(rows)} {len(colours)} {n_characters}"
    lines = [size, *map(" ".join, zip(keys, colours, strict=True)), *rows]
    strings = ",\n".join(f'"{line}"' for line in lines)
    return f"/* XPM */\nstatic char *a[] = {{\n{strings}}};\n".encode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("red", (255, 0, 0)),
        ("Red", (255, 0, 0)),
        ("gray50", (127, 127, 127)),
        ("grey0", (0, 0, 0)),
        ("gray100", (255, 255, 255)),
        ("gray", (190, 190, 190)),
        ("green", (0, 255, 0)),
        ("green3", (0, 205, 0)),
        ("maroon", (176, 48, 96)),
        ("steelblue", (70, 130, 180)),
        ("SteelBlue1", (99, 184, 255)),
        ("steelblue4", (54, 100, 139)),
        ("light goldenrod", (238, 221, 130)),
        ("LightGoldenrod2", (238, 220, 130)),
        ("navy blue", (0, 0, 128)),
        ("gold4", (139, 117, 0)),
        ("#0f0", (0, 255, 0)),
        ("#ffa500", (255, 165, 0)),
        ("#ffffa5a50000", (255, 165, 0)),
        ("None", (255, 255, 255)),
        ("X11 green", (0, 255, 0)),
        ("web green", (0, 128, 0)),
        ("WebGray", (128, 128, 128)),
        ("DebianRed", (215, 7, 81)),
    ],
)
def test_colours(name, expected):
    found = first_row(xpm(f"c {name}"))[0]
    assert np.abs(np.subtract(found, expected)).max() <= 1


def test_other_kinds_of_screens():
    colours = [
        "m black c red",
        "s border c lime g gray50",
        "g gray50 m white",
        "m white",
    ]
    assert first_row(xpm(*colours)) == [
        (255, 0, 0),
        (0, 255, 0),
        (127, 127, 127),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("n_characters", [1, 2, 3, 7])
def test_many_characters(n_characters):
    rows = ["a" * n_characters + "b" * n_characters, "b" * 2 * n_characters]
    content = xpm("c red", "c blue", rows=rows, n_characters=n_characters)
    red, blue = [255, 0, 0], [0, 0, 255]
    assert pixels(content).tolist() == [[red, blue], [blue, blue]]
    assert content_header(content) == Header("XPM", 2, 2)


def test_on_one_line_and_with_remarks():
    content = xpm("c red", "c blue").replace(b",\n", b', /* a "remark" */ ')
    assert first_row(content) == [(255, 0, 0), (0, 0, 255)]
    content = content.replace(b"static", b'// or "so"\nstatic')
    assert first_row(content) == [(255, 0, 0), (0, 0, 255)]


@pytest.mark.parametrize(
    "start", [b"/*XPM*/", b"\xef\xbb\xbf/* XPM */", b"\n/* XPM */"]
)
def test_other_starts(start):
    content = xpm("c red").replace(b"/* XPM */", start)
    assert first_row(content) == [(255, 0, 0)]


@pytest.mark.parametrize(
    "row", [r"ab/*ba*/", r"\\ab\\", r"\"ab\"", "a//b", "*/ab/*"], ids=repr
)
def test_any_characters(row):
    row_ = row.replace("\\\\", "\\").replace('\\"', '"')
    keys = sorted(set(row_))
    colours = [(number, 0, 255 - number) for number in range(len(keys))]
    escaped = [key.replace("\\", "\\\\").replace('"', '\\"') for key in keys]
    strings = [f"{len(row_)} 1 {len(keys)} 1"]
    strings += [
        f"{key} c #{r:02x}{g:02x}{b:02x}"
        for key, (r, g, b) in zip(escaped, colours, strict=True)
    ]
    text = ",".join(f'"{string}"' for string in [*strings, row])
    content = f"/* XPM */ static char *a[] = {{{text}}};".encode()
    assert first_row(content) == [colours[keys.index(key)] for key in row_]


@pytest.mark.parametrize(
    "content",
    [
        xpm("c no such colour"),
        xpm("c red", rows=["ab"]),
        xpm("c #12"),
        xpm("c red").replace(b'"1 1 1 1"', b'"1 1 1 9"'),
        b"/* XPM */",
    ],
)
def test_damaged(content):
    assert reason(content) == "damaged XPM data"


def test_too_few_rows():
    content = xpm("c red").replace(b'"1 1 1 1"', b'"1 5 1 1"')
    assert reason(content) == "the file is cut short"


def test_large():
    content = xpm("c red", rows=["a" * 2000] * 1000)
    assert pixels(content).shape == (1000, 2000, 3)
