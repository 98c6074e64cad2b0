import os

import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    Table,
    TimeVariable,
)
from saved_files import read, table, tree

from orangecontrib.imageanalytics.save_images import MAX_NAME, Saving, save_images


def test_subfolder_for_each_class(photos, out):
    kinds = ["cats", "cats", "dogs", "dogs", "dogs", None]
    saving = save_images(table(photos, kinds), out, format="jpeg")
    assert tree(out) == [
        "cats/photo 0.jpg",
        "cats/photo 1.jpg",
        "dogs/photo 2.jpg",
        "dogs/photo 3.jpg",
        "dogs/photo 4.jpg",
        "photo 5.jpg",
    ]
    assert [source for source, _ in saving.saved] == photos
    assert all(read(source) == read(path) for source, path in saving.saved)
    assert not saving.skipped
    assert not saving.failures
    assert saving.n_left == 0


def test_choice_of_subfolders(photos, out, tmp_path):
    data = table(photos, ["a", "b"] * 3)
    save_images(data, out, subfolders=False)
    assert len(os.listdir(out)) == 6
    group = DiscreteVariable("group", values=["x", "y"])
    data = data.add_column(group, [0, 1, 1, 1, 1, 0], to_metas=True)
    save_images(data, tmp_path / "other", subfolders="group")
    assert len(os.listdir(tmp_path / "other" / "x")) == 2
    assert len(os.listdir(tmp_path / "other" / "y")) == 4
    for wrong in ("image", "nothing"):
        with pytest.raises(ValueError, match=wrong):
            Saving(data, out, subfolders=wrong)


def test_no_subfolders_for_numbers(photos, out):
    domain = Domain([], ContinuousVariable("y"), table(photos).domain.metas)
    data = Table.from_numpy(domain, np.empty((6, 0)), np.arange(6), table(photos).metas)
    assert len(save_images(data, out).saved) == 6
    assert len(os.listdir(out)) == 6


def test_class_values_stay_inside(photos, out, tmp_path):
    kinds = ["..", "../../up", "/etc", "a/b", "NUL", "x" * 500]
    saving = save_images(table(photos, kinds), out)
    assert len(saving.saved) == 6
    assert set(os.listdir(tmp_path)) <= {"photos", "out", "cache"}
    root = os.path.realpath(out)
    for _, path in saving.saved:
        assert os.path.dirname(os.path.dirname(os.path.realpath(path))) == root
    assert {"_", "_.._up", "_etc", "a_b", "_NUL"} < set(os.listdir(out))


def test_class_values_that_would_share_a_folder(photos, out):
    kinds = ["cat", "Cat", "cat.", "a/b", "a:b", "a_b"]
    save_images(table(photos, kinds), out)
    folders = os.listdir(out)
    assert len({name.casefold() for name in folders}) == 6
    assert sum(name.startswith("a_b") for name in folders) == 3


def test_names_that_are_the_same_to_some_systems(photos, out):
    names = ["É", "é", "e\u0301", "ß", "SS", "\u0131"]
    save_images(table(photos, names=names), out, names="names")
    found = tree(out)
    assert len(found) == 6
    assert sum("(2)" in name for name in found) == 2
    assert sum("(3)" in name for name in found) == 1


def test_names_cut_at_last_dot_only(photos, out):
    paths = []
    for number in range(3):
        path = os.path.join(os.path.dirname(photos[0]), f"IMG.2021.{number}.jpg")
        os.rename(photos[number], path)
        paths.append(path)
    save_images(table(paths), out)
    assert tree(out) == [f"IMG.2021.{number}.png" for number in range(3)]


def test_clashes_get_numbers(photos, out):
    names = ["cat", "cat", "Cat", "cat (2)", "c/t", "c:t"]
    saving = save_images(table(photos, name=names), out, names="name")
    assert len(saving.saved) == 6
    assert [os.path.basename(path) for _, path in saving.saved] == [
        "cat.png",
        "cat (2).png",
        "Cat (3).png",
        "cat (2) (2).png",
        "c_t.png",
        "c_t (2).png",
    ]
    assert len({name.casefold() for name in tree(out)}) == 6


def test_long_names_that_clash(photos, out):
    names = ["猫" * 200 + str(number) for number in range(6)]
    saving = save_images(table(photos, name=names), out, names="name")
    assert len(saving.saved) == 6
    assert all(len(name.encode()) <= MAX_NAME for name in tree(out))


def test_names_from_variables(photos, out, tmp_path):
    titles = ["one.jpg", "", None, "v1.2", "..", "con"]
    data = table(photos, title=titles)
    save_images(data, out, names="title")
    assert tree(out) == [
        "_.png",
        "_con.png",
        "one.png",
        "photo 1.png",
        "photo 2.png",
        "v1.2.png",
    ]
    numbers = ContinuousVariable("number", number_of_decimals=0)
    times = TimeVariable("time", have_date=1, have_time=1)
    data = data.add_column(numbers, [3, 4, 5, 6, 7, np.nan])
    data = data.add_column(times, np.arange(6) * 3600.0)
    save_images(data, tmp_path / "numbers", names=numbers)
    names = ["3.png", "4.png", "5.png", "6.png", "7.png", "photo 5.png"]
    assert tree(tmp_path / "numbers") == names
    save_images(data, tmp_path / "times", names="time")
    assert "1970-01-01 05_00_00.png" in tree(tmp_path / "times")
    with pytest.raises(ValueError, match="nothing"):
        Saving(data, out, names="nothing")


def test_a_class_by_the_name_of_a_file(photos, out):
    saving = save_images(table(photos[:2], ["photo 1.png", None]), out)
    assert saving.failures == saving.skipped == []
    assert tree(out) == ["photo 1 (2).png", "photo 1.png/photo 0.png"]


@pytest.mark.parametrize("ending", ["", "{}"], ids=["equal", "the same when cut"])
def test_many_equal_names_are_quick(photos, ending):
    n = 20_000
    names = ["x" * MAX_NAME + ending.format(number) for number in range(n)]
    data = table([photos[0]] * n, name=names)
    seen = []

    def callback(*done):
        seen.append(done)

    saving = Saving(data, "nowhere", names="name", callback=callback)
    assert saving.n_left == n
    # Quadratic work would take minutes.
    assert len(seen) < 100
