"""Columns that are read on request."""

import os
from datetime import datetime, timezone

import numpy as np
import pytest
from helpers import make_image
from image_files import save_stack
from Orange.data import ContinuousVariable, DiscreteVariable, Table, TimeVariable
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from orangecontrib.imageanalytics.import_images import COLUMNS, ImportImages
from orangecontrib.imageanalytics.import_images.watch import FolderWatch

EXIF_IFD, GPS_IFD = 0x8769, 0x8825
NUMBERS = ["image name", "image", "size", "width", "height"]


def save_photo(path, taken, offset="", north=46.5):
    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "Canon EOS R5"})
    details = {0x9003: taken, 0x829A: IFDRational(1, 100), 0x8827: 200}
    exif.get_ifd(EXIF_IFD).update(details | ({0x9011: offset} if offset else {}))
    place = {1: "N", 2: (north, 0.0, 0.0), 3: "E", 4: (14.0, 0.0, 0.0)}
    exif.get_ifd(GPS_IFD).update(place)
    make_image(3).save(path, exif=exif)


@pytest.fixture
def folder(tmp_path):
    """A photo with EXIF, one with EXIF that is wrong, one without, and no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    save_photo(folder / "a.jpg", "2024:05:01 12:00:00")
    save_photo(folder / "b.jpg", "0000:00:00 00:00:00", north=91)
    make_image(2).save(folder / "c.png")
    (folder / "d.jpg").write_text("no image")
    return str(folder)


def read(folder, *columns, **options) -> Table:
    return ImportImages(columns=columns, **options)(folder)[0]


def metas(table):
    return [variable.name for variable in table.domain.metas]


def values(table, name):
    return [str(row[name]) for row in table]


def test_none_by_default(folder):
    assert metas(read(folder)) == NUMBERS


def test_all(folder):
    table = read(folder, *reversed(COLUMNS))
    assert metas(table) == [
        *NUMBERS,
        "date taken",
        "camera",
        "lens",
        "exposure time",
        "f-number",
        "ISO",
        "focal length",
        "latitude",
        "longitude",
        "format",
        "brightness",
        "contrast",
        "sharpness",
        "main color",
    ]
    assert len(table) == 3
    assert values(table, "camera") == ["Canon EOS R5", "Canon EOS R5", "?"]
    assert values(table, "format") == ["JPEG", "JPEG", "PNG"]
    assert values(table, "exposure time") == ["0.01", "0.01", "?"]
    assert values(table, "ISO") == ["200", "200", "?"]
    assert np.isnan(table.get_column("f-number").astype(float)).all()
    place = table[:, ["latitude", "longitude"]].metas.astype(float)
    assert place[0].tolist() == [46.5, 14]
    assert np.isnan(place[1:]).all()
    brightness = table.get_column("brightness").astype(float)
    assert ((brightness > 0) & (brightness < 1)).all()
    assert brightness[0] == brightness[1] != brightness[2]
    assert not np.isnan(table.get_column("main color").astype(float)).any()


def test_kinds(folder):
    domain = read(folder, *COLUMNS).domain
    assert isinstance(domain["date taken"], TimeVariable)
    for name in ("camera", "lens", "format", "main color"):
        assert isinstance(domain[name], DiscreteVariable)
    for name in ("latitude", "longitude", "sharpness", "ISO"):
        assert type(domain[name]) is ContinuousVariable


def test_geo_map_finds_the_location(folder):
    """By the first numeric variables whose names begin so."""
    domain = read(folder, *COLUMNS).domain
    numeric = [v for v in (*domain.variables, *domain.metas) if v.is_continuous]
    for starts, expected in (
        (("latitude", "lat"), "latitude"),
        (("longitude", "lng", "long", "lon"), "longitude"),
    ):
        found = next(v for v in numeric if v.name.lower().startswith(starts))
        assert found.name == expected


def test_dates_without_time_zone(folder):
    table = read(folder, "date taken")
    assert values(table, "date taken") == ["2024-05-01 12:00:00", "?", "?"]


def test_one_time_zone(tmp_path):
    for name, hour in (("a", 12), ("b", 13)):
        save_photo(tmp_path / f"{name}.jpg", f"2024:05:01 {hour}:00:00", "+02:00")
    table = read(str(tmp_path), "date taken")
    expected = datetime(2024, 5, 1, 10, tzinfo=timezone.utc).timestamp()
    assert float(table[0]["date taken"]) == expected
    assert values(table, "date taken")[1].startswith("2024-05-01 13:00:00")


@pytest.mark.parametrize("second", ["", "-05:00"])
def test_several_time_zones(tmp_path, second):
    """Clocks can be compared only as they are."""
    save_photo(tmp_path / "a.jpg", "2024:05:01 12:00:00", "+02:00")
    save_photo(tmp_path / "b.jpg", "2024:05:01 12:00:00", second)
    first, other = values(read(str(tmp_path), "date taken"), "date taken")
    assert first == other == "2024-05-01 12:00:00"


def test_tables_can_be_saved(folder, tmp_path):
    table = read(folder, *COLUMNS)
    table.save(str(tmp_path / "table.tab"))
    again = Table(str(tmp_path / "table.tab"))
    for name in ("latitude", "date taken", "sharpness"):
        before, after = (t.get_column(name).astype(float) for t in (table, again))
        np.testing.assert_allclose(before, after, rtol=1e-3)


def test_pages(tmp_path):
    save_stack(tmp_path / "cells.tif", n_planes=2)
    table = read(str(tmp_path), "format", "brightness", "camera", pages="all")
    assert len(table) == 4
    assert values(table, "format") == ["TIFF"] * 4
    assert not np.isnan(table.get_column("brightness").astype(float)).any()


def test_image_that_cannot_be_decoded(folder):
    """Its header is good, so it is listed; its pixels are missing values."""
    path = os.path.join(folder, "a.jpg")
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 300)
    table = read(folder, *COLUMNS)
    assert len(table) == 3
    assert values(table, "brightness")[0] == values(table, "main color")[0] == "?"
    assert values(table, "camera")[0] == "Canon EOS R5"


def test_progress_and_order(folder):
    for number in range(60):
        make_image(number).save(os.path.join(folder, f"{number:03}.png"))
    told = []
    importer = ImportImages(told.append, columns=["contrast"])
    table, n_skipped = importer(folder)
    assert values(table, "image name")[:3] == ["000", "001", "002"]
    assert (len(table), n_skipped) == (63, 1)
    assert told[-1].count == 64
    assert len(told) > 3  # decoding takes long
    assert sum(len(progress.batch) for progress in told) == 64


def test_cancelled_while_decoding(folder):
    for number in range(60):
        make_image(number).save(os.path.join(folder, f"{number:03}.png"))

    def stop(progress):
        importer.cancelled = True

    importer = ImportImages(stop, columns=["contrast"])
    assert importer(folder) == (None, 0)


def test_watching(folder):
    importer = ImportImages(columns=["camera", "brightness"])
    listing = importer.read(folder)
    watch = FolderWatch(listing, columns=importer.columns)
    watch.look()
    save_photo(os.path.join(folder, "e.jpg"), "2024:05:01 12:00:00")
    watch.look()
    table, _ = importer.table(watch.look().listing)
    assert values(table, "camera")[-1] == "Canon EOS R5"
    assert values(table, "brightness")[-1] != "?"


def test_wrong_names():
    with pytest.raises(ValueError, match=r"'colour' is not a column.*main color"):
        ImportImages(columns=["camera", "colour"])
    assert ImportImages(columns="camera").columns == ("camera",)
