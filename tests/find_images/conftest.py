"""A folder of images of two kinds, as a table."""

import dataclasses

import pytest
from helpers import make_image
from Orange.data import Domain

from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.networks.spec import NetworkReference


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Four dark and four light images."""
    folder = tmp_path_factory.mktemp("images")
    seed = iter(range(100))
    for label, base in (("dark", 0), ("light", 160)):
        (folder / label).mkdir()
        for number in range(4):
            image = make_image(next(seed))
            image = image.point(lambda value, base=base: base + value // 3)
            image.save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def table(folder):
    """The images; the dark ones are first."""
    return ImportImages()(str(folder))[0]


@pytest.fixture
def embedded(table):
    """The same with vectors of SqueezeNet, in single precision.

    Which precision is the default, may differ each time.
    """
    with ImageEmbedder("squeezenet", "cpu", precision="float32") as embedder:
        return embedder(table)[0]


@pytest.fixture
def of_gone_network(embedded):
    """The same with vectors that seem to come from a file that is gone."""
    variables = []
    for variable in embedded.domain.attributes:
        feature = variable.compute_value
        compute = feature.compute_shared
        reference = NetworkReference("/gone/network.onnx", "another")
        spec = dataclasses.replace(compute.spec, network=reference)
        compute = dataclasses.replace(compute, spec=spec)
        feature = type(feature)(compute, feature.index, feature.name)
        variables.append(variable.copy(compute_value=feature))
    domain = embedded.domain
    embedded.domain = Domain(variables, domain.class_vars, domain.metas)
    return embedded
