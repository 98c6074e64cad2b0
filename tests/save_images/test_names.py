import numpy as np
import pytest

from orangecontrib.imageanalytics.save_images import MAX_NAME, image_name, safe_name


@pytest.mark.parametrize(
    "text, name",
    [
        ("cat", "cat"),
        ("IMG.2021.06", "IMG.2021.06"),
        ("..", "_"),
        ("", "_"),
        ("...", "_"),
        ("a/b\\c", "a_b_c"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a<b>c:d"e|f?g*h', "a_b_c_d_e_f_g_h"),
        ("con", "_con"),
        ("CON.tar", "_CON.tar"),
        ("Aux .x", "_Aux .x"),
        ("NUL", "_NUL"),
        ("com¹", "_com¹"),
        ("LPT9", "_LPT9"),
        ("CONSOLE", "CONSOLE"),
        ("trailing. . ", "trailing"),
        (".hidden", "hidden"),
        ("a\0b\nc\x7f", "a_b_c_"),
        ("exe\u202egpj", "exe_gpj"),
        ("half\ud800", "half_"),
        ("e\u0301", "\xe9"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("猫 и кот", "猫 и кот"),
    ],
)
def test_safe_name(text, name):
    assert safe_name(text) == name
    assert safe_name(name) == name


def test_safe_name_of_anything():
    rng = np.random.default_rng(0)
    pool = "./\\: \0conCONàé猫😀\u202e\ud800" + "x" * 4
    for _ in range(3000):
        text = "".join(rng.choice(list(pool), rng.integers(0, 200)))
        name = safe_name(text)
        assert 0 < len(name.encode()) <= MAX_NAME
        assert name[0] not in ". "
        assert name[-1] not in ". "
        assert not set(name) & set('/\\:\0<>"|?*')


@pytest.mark.parametrize(
    "source, name",
    [
        ("/a/b/cat.jpg", "cat"),
        ("/a/b/IMG.2021.06.jpg", "IMG.2021.06"),
        ("/a/b/IMG.2021.06", "IMG.2021.06"),
        ("scan.SVGZ", "scan"),
        ("/a/.jpg", ".jpg"),
        ("https://x.org/a/my%20cat.png?size=2&x=/y#z", "my cat"),
        ("https://x.org/", "image"),
        ("http://[bad", "[bad"),
        ("data:image/png;base64,AAAA/BBBB", "image"),
    ],
)
def test_image_name(source, name):
    assert image_name(source) == name


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/a/cells.ome.tif#page=3", "cells.ome page 3"),
        ("http://h/a%20b.tif?x#page=2", "a b page 2"),
        ("scan.dng", "scan"),
        ("scan.dcm", "scan"),
        ("a.jxl", "a"),
    ],
)
def test_names_of_pages_and_formats(source, name):
    assert image_name(source) == name
