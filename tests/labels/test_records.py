"""What is kept of a session, and how its images are found again."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import make_image

from orangecontrib.imageanalytics.labels import (
    Autosave,
    Keeper,
    LabeledImage,
    LabelSession,
    Memory,
    Record,
    RecordError,
    autosaves,
    find,
)
from orangecontrib.imageanalytics.labels.content import digest_of
from orangecontrib.imageanalytics.labels.record import is_record


@pytest.fixture
def session(photos):
    session = LabelSession(len(photos))
    session.add_class("cat")
    session.add_class("dog")
    session.label([0], 0)
    session.label([2, 4], 1)
    session.skip([5])
    return session


@pytest.fixture
def memory(session, photos):
    return Memory(((session, photos),), changed=12.5)


NAMES = {0: "cat", 2: "dog", 4: "dog"}


def test_record(memory, photos):
    record = memory.record()
    assert [c.name for c in record.classes] == ["cat", "dog"]
    assert record.n_labeled == 3 and len(record.images) == 4
    assert record.images[0].source == photos[0]
    assert len(record.images[0].sha256) == 64
    assert record.images[0].n_bytes == os.path.getsize(photos[0])
    assert Record.from_dict(json.loads(json.dumps(record.as_dict()))) == record
    assert Record.from_dict({}) == Record() and not Record()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"version": "1"},
        {"classes": [["cat"]]},
        {"classes": [["cat", "red"]]},
        {"classes": [[1, "#000000"]]},
        {"images": [["a.png", "cat"]]},
        {"images": [[None, "cat", "", 3]]},
        {"images": 5},
        {"changed": float("nan")},
        {"changed": None},
        {"name": "../../elsewhere"},
        {"known": 5},
    ],
)
def test_damaged_records(memory, change):
    values = memory.record().as_dict() | change
    with pytest.raises(RecordError):
        Record.from_dict(values)
    assert not is_record(values)
    assert not is_record([values])


def test_same_places(memory, photos):
    found = find(memory.record().images, photos)
    assert found.names == NAMES and found.skipped == [5]
    assert not found.absent and not found.changed and not found.moved


def test_moved_and_renamed(memory, photos, tmp_path):
    images = memory.record().images
    moved = []
    for number, path in enumerate(photos):
        target = tmp_path / "elsewhere" / f"{9 - number}.jpg"
        target.parent.mkdir(exist_ok=True)
        moved.append(str(shutil.move(path, target)))
    found = find(images, moved)
    assert found.names == NAMES and found.moved == 4
    assert find(images, moved[::-1]).names == {5: "cat", 3: "dog", 1: "dog"}
    found = find(images, moved[1:])
    assert found.names == {1: "dog", 3: "dog"}
    assert [image.class_name for image in found.absent] == ["cat"]


def test_names_that_were_swapped(memory, photos, tmp_path):
    images = memory.record().images
    aside = str(tmp_path / "aside")
    for source, target in (
        (photos[0], aside),
        (photos[1], photos[0]),
        (aside, photos[1]),
    ):
        os.rename(source, target)
    assert find(images, photos).names == {1: "cat", 2: "dog", 4: "dog"}


def test_edited(memory, photos):
    images = memory.record().images
    make_image(99, (10, 10)).save(photos[2])
    found = find(images, photos)
    assert found.names == NAMES and found.changed == [2]


def test_equal_files(memory, photos, tmp_path):
    images = memory.record().images
    copy = str(shutil.copy(photos[0], tmp_path / "copy.jpg"))
    assert find(images, [copy, *photos]).names == {1: "cat", 3: "dog", 5: "dog"}
    # The one that is called as before is preferred.
    moved = [str(shutil.copy(photos[0], tmp_path / os.path.basename(photos[0])))]
    assert find(images[:1], [copy, *moved]).names == {1: "cat"}
    twice = [*images[:1], *images[:1]]
    assert find(twice, [photos[0], photos[0]]).names == {0: "cat", 1: "cat"}


def test_only_files_of_known_sizes_are_read(memory, photos, tmp_path):
    images, read = memory.record().images, []
    make_image(1, (5, 5)).save(tmp_path / "other.png")

    def digest(source):
        read.append(source)
        return digest_of(source)

    find(images, [str(tmp_path / "other.png"), photos[0]], digest=digest)
    assert read == [photos[0]]


def test_images_without_files():
    images = [LabeledImage("http://x/a.png", "cat"), LabeledImage("/no.png", "dog")]
    found = find(images, ["/no.png", "http://x/b.png", "http://x/a.png"])
    assert found.names == {0: "dog", 2: "cat"}
    assert digest_of("http://x/a.png") == "" == digest_of("/no.png")


def test_digests_follow_files(photos):
    first = digest_of(photos[0])
    assert digest_of(photos[0]) == first
    make_image(77, (12, 12)).save(photos[0])
    assert digest_of(photos[0]) not in ("", first)


def test_parts_of_a_memory(photos, session):
    later = LabelSession(2, list(session.classes.values()))
    later.label([1], 1)
    absent = (LabeledImage("/gone.png", "dog"),)
    memory = Memory(((later, photos[:2]), (session, photos)), absent)
    found = find(memory.record().images, photos)
    assert found.names == NAMES | {1: "dog"}
    assert find(Memory.of(memory.record()).record().images, photos) == found


def test_the_first_part_of_a_memory_counts(session, photos):
    later = LabelSession(len(photos), list(session.classes.values()))
    later.label([0], 1)
    gone = LabeledImage(photos[2], "cat", "ab" * 32)  # was another file
    absent = (LabeledImage(photos[0], "cat"), gone)
    record = Memory(((later, photos), (session, photos)), absent).record()
    assert [i.class_name for i in record.images if i.source == photos[0]] == ["dog"]
    assert len(record.images) == 5 and gone in record.images


# Autosave


def test_autosave(memory, tmp_path):
    folder = str(tmp_path / "labels")
    autosave = Autosave(folder)
    name = autosave.save(memory.record())
    assert list(autosaves([], folder)) == []  # it is in use
    autosave.close()
    ((path, record),) = autosaves([], folder)
    assert path == autosave.path and record.name == name
    assert record.images == memory.record().images
    # Another session goes on with it, unless it has missed a change.
    later = Autosave(folder)
    assert later.save(memory.record(), name, since=12.5) == name
    later.close()
    other = Autosave(folder)
    assert other.save(memory.record(), name, since=12) != name
    other.close()
    assert len(list(autosaves([], folder))) == 2


def test_an_autosave_of_another_thread_is_let_go(memory, tmp_path):
    """It is saved in one thread and closed in another, as Keeper does."""
    autosave = Autosave(str(tmp_path))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(autosave.save, memory.record()).result()
        assert not list(autosaves([], str(tmp_path)))
        autosave.close()
        assert len(list(autosaves([], str(tmp_path)))) == 1


def test_autosaves_are_not_shared(memory, tmp_path):
    first, second = Autosave(str(tmp_path)), Autosave(str(tmp_path))
    name = first.save(memory.record())
    assert second.save(memory.record(), name, since=99) != name
    first.close()
    second.close()


def test_damaged_autosaves_are_kept(tmp_path):
    path = tmp_path / "ab.json"
    for number in (1, 2):
        path.write_bytes(b'{"version": 1, "cl')
        damaged = []
        assert not list(autosaves(damaged, str(tmp_path)))
        assert damaged == [f"{path}.damaged-{number}"]
        assert os.path.getsize(damaged[0]) == 18 and not path.exists()
    path.write_text(json.dumps(Record().as_dict() | {"version": 99}))
    damaged = []
    assert not list(autosaves(damaged, str(tmp_path)))
    assert not damaged and path.exists()  # a later version reads it
    assert not list(autosaves([], str(tmp_path / "missing")))


def test_a_write_that_fails_leaves_the_autosave(memory, tmp_path, monkeypatch):
    folder = tmp_path / "labels"
    autosave = Autosave(str(folder))
    name = autosave.save(memory.record())
    before = (folder / f"{name}.json").read_bytes()
    monkeypatch.setattr("json.dumps", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        autosave.save(memory.record())
    autosave.close()
    assert (folder / f"{name}.json").read_bytes() == before
    assert sorted(os.listdir(folder)) == sorted([f"{name}.json", "locks"])


def test_keeper(memory, session, photos, tmp_path):
    saved = []
    keeper = Keeper(saved.append, str(tmp_path))
    for changed in range(1, 50):
        keeper.keep(Memory(memory.parts, changed=changed))
    assert keeper.wait(60)
    assert 1 <= len(saved) <= 49 and saved[-1].changed == 49
    keeper.keep(Memory(memory.parts, changed=50))
    keeper.close()
    assert keeper.wait(60)
    ((_, record),) = autosaves([], str(tmp_path))
    assert record.changed == 50
    assert saved[-1].changed in (49, 50)


def test_keeper_that_cannot_write(memory, tmp_path):
    (tmp_path / "file").write_text("")
    saved = []
    keeper = Keeper(saved.append, str(tmp_path / "file"))
    keeper.keep(memory)
    assert keeper.wait(60)
    assert isinstance(saved[0], OSError)
    keeper.close()


def test_keeper_goes_on_after_any_error(memory, tmp_path, monkeypatch):
    saved = []
    keeper = Keeper(saved.append, str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr("json.dumps", lambda _: 1 / 0)
        keeper.keep(memory)
        assert keeper.wait(60)
    assert isinstance(saved[0], ZeroDivisionError)
    keeper.keep(memory)
    assert keeper.wait(60)
    assert isinstance(saved[1], Record)
    keeper.close()
