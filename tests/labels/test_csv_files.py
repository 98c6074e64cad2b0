"""Files of labels."""

import pytest

from orangecontrib.imageanalytics.labels import LabelFileError, Row, read_labels
from orangecontrib.imageanalytics.labels.csv_files import write_labels

ROWS = [
    Row("a, b.png", 'the "cat"', "person", 1.0, "ab" * 32),
    Row("ä.png", "dog\nor wolf", "proposed", 0.123456),
    Row("/elsewhere/c.png", "dog", "person", 1.0),
]


def test_round_trip(tmp_path):
    path = str(tmp_path / "labels.csv")
    write_labels(path, ROWS)
    with open(path, encoding="utf-8", newline="") as file:
        assert file.readline() == "image,class,by,certainty,sha256\r\n"
        assert "0.1235" in file.read()
    images, n_left_out = read_labels(path, str(tmp_path))
    assert n_left_out == 1
    assert [i.source for i in images] == [str(tmp_path / "a, b.png"), ROWS[2].image]
    assert [i.class_name for i in images] == ['the "cat"', "dog"]
    assert images[0].sha256 == "ab" * 32
    with pytest.raises(FileExistsError):
        write_labels(path, ROWS)
    write_labels(path, [], overwrite=True)
    assert read_labels(path) == ([], 0)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_of_others(separator, tmp_path):
    lines = ["Class|Image", " a  cat|a.png", "", "|b.png", "dog|"]
    text = "\ufeff" + "\n".join(lines).replace("|", separator)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    images, n_left_out = read_labels(str(tmp_path / "labels.csv"))
    assert [(i.source, i.class_name) for i in images] == [
        (str(tmp_path / "a.png"), "a cat")
    ]
    assert n_left_out == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"\xff\xfe\x00\x00", b"image,class\n\xe4.png,cat\n", b"\0"],
)
def test_bad_files(content, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    with pytest.raises(LabelFileError, match="labels"):
        read_labels(str(path))
    with pytest.raises(LabelFileError, match="missing"):
        read_labels(str(tmp_path / "missing.csv"))
    with pytest.raises(LabelFileError):
        read_labels(str(tmp_path))
