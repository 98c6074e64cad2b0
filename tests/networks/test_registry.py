import re
import subprocess
import sys

import pytest

from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    NETWORKS,
    find_network,
    is_file_name,
)
from orangecontrib.imageanalytics.networks.weights import (
    DownloadedWeights,
    PackagedWeights,
)

DOWNLOADED = [n for n in NETWORKS if isinstance(n.weights, DownloadedWeights)]


def test_the_default_is_first_and_needs_no_download():
    assert NETWORKS[0].id == DEFAULT == "efficientnet-lite0"
    assert NETWORKS[0].megabytes == 0
    assert NETWORKS[0].available()


def test_order_shown_to_users():
    assert [network.id for network in NETWORKS] == [
        "efficientnet-lite0",
        "efficientnet-lite2",
        "squeezenet",
        "inception-v3",
        "vgg16",
        "vgg19",
        "resnet50",
        "convnext-tiny",
        "efficientnet-v2-s",
        "vit-b-16",
        "mobilenet-v3-large",
        "densenet121",
        "clip-vit-b-32",
        "clip-vit-l-14",
        "siglip2-vit-b-16",
    ]


def test_networks_that_know_words():
    """The small one first."""
    networks = [network for network in NETWORKS if network.knows_words]
    assert [network.id for network in networks] == [
        "clip-vit-b-32",
        "clip-vit-l-14",
        "siglip2-vit-b-16",
    ]
    for network in networks:
        assert network.layer == "joint"
        # How good they are, as published.
        assert re.search(r"\b7\d\.\d %", network.description)


@pytest.mark.parametrize("network", DOWNLOADED, ids=lambda network: network.id)
def test_downloads_are_those_of_torchvision(network):
    from torchvision.models import get_weight

    weights = get_weight(network.classes)
    assert network.weights.url == weights.url
    mebibytes = weights.meta["_file_size"]
    assert network.megabytes == pytest.approx(mebibytes * 1.048576, abs=0.6)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.id)
def test_input_size_is_that_of_the_preprocessing(network):
    assert network.preprocessing.size == network.input_size


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.id)
def test_every_entry_says_what_people_ask(network):
    assert network.name and network.description and network.licence
    assert network.origin.startswith(("https://", "Python package "))
    packaged = isinstance(network.weights, PackagedWeights)
    assert (network.megabytes == 0) == packaged


@pytest.mark.parametrize("model", ["painters", "deeploc", "openface"])
def test_networks_of_the_old_server(model):
    with pytest.raises(ValueError, match=r"server.*efficientnet-lite0") as error:
        find_network(model)
    assert model in str(error.value)


def test_unknown_network():
    with pytest.raises(ValueError, match=r"'alexnet' is not a valid model.*vgg19"):
        find_network("alexnet")


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.id)
def test_a_network_is_its_own_answer(network):
    assert find_network(network) is network
    with pytest.raises(ValueError, match="has its preprocessing"):
        find_network(network, {"size": 224})


def test_listing_does_not_import_torch():
    code = (
        "import sys;"
        "from orangecontrib.imageanalytics.networks.registry import NETWORKS;"
        "[n.available() for n in NETWORKS];"
        "slow = {'torch', 'torchvision', 'timm', 'open_clip', 'tokenizers'};"
        "slow.add('huggingface_hub.file_download');"
        "sys.exit(', '.join(slow & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_that_end_like_files():
    """Some of timm's do; nothing else with a family is a file."""
    assert not is_file_name("timm:beit3_base_patch16_224.pt")
    assert is_file_name("beit3_base_patch16_224.PT")
    assert is_file_name(r"C:\networks\cells.pt2")
    assert not is_file_name("efficientnet-lite0")


def test_preprocessing_is_for_files_only():
    for model in ("squeezenet", "torchvision:resnet18", "timm:resnet18"):
        with pytest.raises(ValueError, match="for the file of a network only"):
            find_network(model, {"size": 224})
