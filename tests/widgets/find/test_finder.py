import numpy as np
import pytest
from helpers import make_image

from orangecontrib.imageanalytics.errors import Cancelled, ModelError
from orangecontrib.imageanalytics.find_images import ExamplesError
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import NetworkTask
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Choice
from orangecontrib.imageanalytics.widgets.find import finder as finder_module
from orangecontrib.imageanalytics.widgets.find.find_task import Vectors, embed_images
from orangecontrib.imageanalytics.widgets.find.finder import Finder, Sorted
from orangecontrib.imageanalytics.widgets.find.question import Question


class State:
    """Takes progress, and nothing is cancelled."""

    def __init__(self):
        self.results = []
        self.set_partial_result = self.results.append

    def set_status(self, text):
        pass

    def set_progress_value(self, value):
        pass

    def is_interruption_requested(self):
        return False


@pytest.fixture
def task(tmp_path, photos):
    data, _ = ImportImages()(str(tmp_path / "photos"))
    return NetworkTask(
        data=data, column=data.domain["image"], choice=Choice("squeezenet")
    )


def nothing(*_):
    pass


def test_vectors(task, photos):
    with open(photos[2], "wb") as file:
        file.write(b"no image")
    state = State()
    found = embed_images(task, state)
    assert isinstance(found, Vectors)
    assert found.n_images == 5
    assert found.rows == {path: row for row, path in enumerate(photos) if row != 2}
    ((image, reason),) = found.skipped
    assert image == photos[2] and reason
    assert found.facts in state.results


def test_network_that_has_to_be_downloaded(task, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "orangecontrib.imageanalytics.networks.weights.checkpoints_folder",
        lambda: str(tmp_path / "checkpoints"),
    )
    other = NetworkTask(data=task.data, column=task.column, choice=Choice("resnet50"))
    facts = embed_images(other, State())
    assert facts.must_download
    assert facts.network.id == "resnet50"


def test_known_images_need_no_network(task, photos, counted):
    finder = Finder(embed_images(task, State()))
    counted.clear()
    said = []
    found = finder.find(Question(examples=(photos[3],)), said.append, nothing)
    assert found.order[0] == 3
    assert found.scores[3] == pytest.approx(1, abs=1e-5)
    assert found.text(3) == "1.000"
    assert counted == [] and said == []


def test_other_images_are_embedded_once(task, photos, tmp_path, counted):
    finder = Finder(embed_images(task, State()))
    path = str(tmp_path / "other.png")
    make_image(77).save(path)
    counted.clear()
    said = []
    first = finder.find(Question(examples=(path,)), said.append, nothing)
    assert sum(counted) == 1 and len(said) == 1
    again = finder.find(Question(examples=(path, photos[0])), said.append, nothing)
    assert sum(counted) == 1 and len(said) == 1
    vectors = np.stack(ImageEmbedder("squeezenet")([path, *photos]))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    np.testing.assert_allclose(first.scores, vectors[1:] @ vectors[0], atol=1e-5)
    assert not np.allclose(first.scores, again.scores)


def test_failed_examples_are_tried_again_once_they_were_removed(task, photos, tmp_path):
    finder = Finder(embed_images(task, State()))
    path = str(tmp_path / "later.png")
    broken = Question(examples=(path, photos[1]))
    assert path in finder.find(broken, nothing, nothing).failures
    make_image(78).save(path)
    assert path in finder.find(broken, nothing, nothing).failures
    finder.find(Question(examples=(photos[1],)), nothing, nothing)
    assert finder.find(broken, nothing, nothing).failures == {}


def test_only_failed_examples(task, tmp_path):
    finder = Finder(embed_images(task, State()))
    path = str(tmp_path / "nowhere.png")
    with pytest.raises(ExamplesError, match="nowhere"):
        finder.find(Question(examples=(path,)), nothing, nothing)
    like = task.data[:2].copy()
    with like.unlocked():
        like.metas[:, [m.name for m in like.domain.metas].index("image")] = "gone.png"
    with pytest.raises(ExamplesError, match=r"gone\.png"):
        finder.find(Question(like=like, like_column="image"), nothing, nothing)


def test_failures_of_a_search_that_was_stopped_are_not_those_of_the_next(
    task, photos, tmp_path
):
    finder = Finder(embed_images(task, State()))
    first, second = (str(tmp_path / name) for name in ("first.png", "second.png"))
    later = []

    def next_search(_text):
        if not later:
            later.append(None)
            question = Question(examples=(second, photos[1]))
            later.append(finder.find(question, nothing, nothing))

    found = finder.find(Question(examples=(first, photos[0])), next_search, nothing)
    assert set(found.failures) == {first}
    assert set(later[1].failures) == {second}


def test_network_that_is_needed_for_examples_only(task, photos, tmp_path, monkeypatch):
    finder = Finder(embed_images(task, State()))
    path = str(tmp_path / "other.png")
    make_image(79).save(path)

    def fail(*_args, **_options):
        raise ModelError("its weights are gone")

    monkeypatch.setattr(finder_module.LazyEmbedder, "examples", fail)
    like = task.data[1:3]
    question = Question(examples=(path, photos[0]), like=like, like_column="image")
    found = finder.find(question, nothing, nothing)
    assert found.order[0] == 0
    expected = dict.fromkeys((path, *photos[1:3]), "its weights are gone")
    assert found.failures == expected


def test_examples_of_a_table(task):
    finder = Finder(embed_images(task, State()))
    found = finder.find(
        Question(like=task.data[4:5], like_column="image"), nothing, nothing
    )
    assert found.order[0] == 4
    table = finder.table(found)
    np.testing.assert_allclose(table.get_column("score"), found.scores, atol=1e-6)


def test_stop(task, photos):
    finder = Finder(embed_images(task, State()))

    def stop():
        raise Cancelled

    with pytest.raises(Cancelled):
        finder.find(Question(examples=(photos[0],)), nothing, stop)


def test_small_probabilities_are_not_written_as_zero():
    confidence = np.array([0.0034, 0.34, 1], np.float32)
    texts = [Sorted(None, None, confidence, None).text(row) for row in range(3)]
    assert texts == ["0.3%", "34%", "100%"]
