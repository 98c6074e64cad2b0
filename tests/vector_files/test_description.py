import dataclasses
import json

import numpy as np
import pytest

from orangecontrib.imageanalytics.embedding_columns import EmbedImages
from orangecontrib.imageanalytics.errors import DatasetError
from orangecontrib.imageanalytics.networks.registry import NETWORKS
from orangecontrib.imageanalytics.networks.spec import (
    EmbeddingSpec,
    NetworkReference,
)
from orangecontrib.imageanalytics.vector_files import (
    KEY,
    class_names,
    describe,
    description_of,
    spec_of,
    vector_array,
    vector_schema,
)

PLAIN = EmbeddingSpec.choose("efficientnet-lite0")
SPECS = {
    **{network.id: EmbeddingSpec.choose(network) for network in NETWORKS},
    "all options": EmbeddingSpec.choose(
        "squeezenet", "features.3", "pad", precision="float16", intensity="10:2000.5"
    ),
    "file": dataclasses.replace(
        PLAIN,
        network=NetworkReference(
            "/home/me/cells.pth",
            "sha256:1",
            (("architecture", "timm:resnet18"), ("classes", 7), ("size", 64)),
        ),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_comes_back_as_it_was(name):
    spec = SPECS[name]
    back = spec_of(json.loads(json.dumps(describe(spec))))
    if name != "file":
        spec = spec.portable()
    assert EmbedImages("image", back) == EmbedImages("image", spec)
    assert hash(back) == hash(spec)
    # What equality leaves out, and what the cache's key is made of.
    assert back.network.id == spec.network.id
    assert back.network.about == spec.network.about
    assert repr(back) == repr(spec)


def test_a_reference_is_described_like_its_network():
    assert describe(PLAIN.portable()) == describe(PLAIN)


def test_every_field_is_described():
    """A new one must be added here, else its value would be lost."""
    description = describe(PLAIN)
    for field in dataclasses.fields(EmbeddingSpec):
        assert field.name in description
    for field in dataclasses.fields(NetworkReference):
        assert field.name in description["network"]


def test_what_later_versions_add_is_ignored():
    description = describe(PLAIN) | {"colour_blind": True}
    description["network"]["shape"] = "round"
    description["preprocessing"]["frame"] = 3
    assert spec_of(description) == PLAIN.portable()


def test_what_earlier_versions_lack_has_its_default():
    description = describe(PLAIN)
    for key in ("precision", "intensity", "classes"):
        del description[key]
    assert spec_of(description) == PLAIN.portable()


DAMAGES = {
    "it lacks layer": lambda d: d.pop("layer"),
    "it lacks size": lambda d: d["preprocessing"].pop("size"),
    "size must be": lambda d: d["preprocessing"].update(size="large"),
    "std must be": lambda d: d["preprocessing"].update(std=[1, 0, 1]),
    "fit must be": lambda d: d["preprocessing"].update(fit="squeeze"),
    "layer is no text": lambda d: d.update(layer=7),
    "network is no text": lambda d: d["network"].update(id=None),
    "precision 'int4'": lambda d: d.update(precision="int4"),
    "intensity": lambda d: d.update(intensity=[2, 1]),
    "damaged": lambda d: d.update(network="squeezenet"),
    "damaged:": lambda d: d["network"].update(about=7),
}


@pytest.mark.parametrize("reason", DAMAGES)
def test_damaged(reason):
    description = describe(PLAIN)
    DAMAGES[reason](description)
    with pytest.raises(DatasetError, match=rf"^a\.parquet: .*{reason}"):
        spec_of(description, "a.parquet")


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff", b"[" * 100_000], ids=len)
def test_damaged_text(text):
    with pytest.raises(DatasetError, match=r"^a\.parquet: .*damaged"):
        description_of({KEY: text}, "a.parquet")


@pytest.mark.parametrize("metadata", [None, {}, {b"origin": b"/photos"}])
def test_no_description(metadata):
    assert description_of(metadata, "a.parquet") is None


def test_class_names():
    description = describe(PLAIN, ["cat", "dog"])
    assert class_names(description, 2) == ("cat", "dog")
    assert class_names(description, 3) == ()
    assert class_names({"classes": [1, 2]}, 2) == ()
    assert class_names(describe(PLAIN), 2) == ()


def test_schema():
    pytest.importorskip("pyarrow")
    schema = vector_schema(4, describe(PLAIN), "/photos/š")
    assert {field.name: str(field.type) for field in schema} == {
        "path": "string",
        "vector": "list<item: float>",
        "width": "int32",
        "height": "int32",
        "category": "string",
        "error": "string",
    }
    assert schema.metadata[b"origin"].decode() == "/photos/š"
    assert schema.metadata[b"n_features"] == b"4"
    assert description_of(schema.metadata, "") == describe(PLAIN)


def test_missing_vectors_survive_a_file(tmp_path):
    """In pyarrow before 26 they do not among lists of a fixed length."""
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    is_missing = np.array([True, False, True, True, False, True])
    vectors = np.asfortranarray([[1.0, 2], [3, 4]])
    rows = vector_array(vectors, is_missing)
    assert rows.type == vector_schema(2).field("vector").type
    expected = [None, [1, 2], None, None, [3, 4], None]
    assert rows.to_pylist() == expected
    pq.write_table(pa.table({"vector": rows}), tmp_path / "a.parquet")
    assert pq.read_table(tmp_path / "a.parquet")["vector"].to_pylist() == expected
    nothing = vector_array(np.empty((0, 2)), np.ones(3, bool))
    assert nothing.to_pylist() == [None] * 3
    assert vector_array(vectors).to_pylist() == [[1, 2], [3, 4]]
