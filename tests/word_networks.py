"""Tiny networks of open_clip with random weights, one of each architecture on offer."""

import contextlib
import json

import open_clip
import safetensors.torch
import torch
from open_clip import factory, pretrained

from orangecontrib.imageanalytics.networks import clip_networks

COMMIT = "0123456789" * 4
TAG = "random"
CLIP, MOBILE, SIGLIP = "Tiny-CLIP", "Tiny-MobileCLIP2", "Tiny-SigLIP2"
RESNET, CONVNEXT = "Tiny-RN", "Tiny-ConvNeXt"
NAMES = (CLIP, MOBILE, SIGLIP, RESNET, CONVNEXT)

_TEXT = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 16,
    "heads": 2,
    "layers": 2,
}
_NATIVE = {"image_size": 64, "width": 32, "head_width": 16, "patch_size": 16}
#: As the files of open_clip for the networks on offer, with smaller numbers.
CONFIGS = {
    CLIP: {
        "embed_dim": 24,
        "vision_cfg": _NATIVE | {"layers": 3},
        "text_cfg": _TEXT,
    },
    MOBILE: {
        "embed_dim": 24,
        "vision_cfg": {
            "timm_model_name": "fastvit_mci0",
            "timm_model_pretrained": False,
            "timm_pool": "avg",
            "timm_proj": None,
            "timm_drop": 0.0,
            "timm_drop_path": 0.0,
            "image_size": 256,
        },
        "text_cfg": _TEXT | {"no_causal_mask": True},
        "custom_text": True,
    },
    SIGLIP: {
        "embed_dim": 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": 400,
            "hf_tokenizer_name": f"timm/{SIGLIP}",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 64,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
            "act_kwargs": {"approximate": "tanh"},
        },
    },
    RESNET: {
        "embed_dim": 24,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8},
        "text_cfg": _TEXT,
    },
    CONVNEXT: {
        "embed_dim": 24,
        "vision_cfg": {
            "timm_model_name": "test_convnext",
            "timm_model_pretrained": False,
            "timm_pool": "",
            "timm_proj": "linear",
            "image_size": 160,
        },
        "text_cfg": _TEXT,
    },
}
_PRETRAINED = {
    CLIP: pretrained._pcfg(hf_hub=f"laion/{CLIP}/"),
    MOBILE: pretrained._mccfg(hf_hub=f"timm/{MOBILE}/"),
    SIGLIP: pretrained._slpcfg(hf_hub=f"timm/{SIGLIP}/"),
    RESNET: pretrained._pcfg(hf_hub=f"timm/{RESNET}/", quick_gelu=True),
    CONVNEXT: pretrained._pcfg(hf_hub=f"laion/{CONVNEXT}/"),
}


@contextlib.contextmanager
def known_to_open_clip():
    """A context in which open_clip has the tiny networks, too."""
    tags = {name: {TAG: values} for name, values in _PRETRAINED.items()}
    factory._MODEL_CONFIGS.update(CONFIGS)
    pretrained._PRETRAINED.update(tags)
    clip_networks.names.cache_clear()
    try:
        yield
    finally:
        for name in CONFIGS:
            del factory._MODEL_CONFIGS[name]
            del pretrained._PRETRAINED[name]
        clip_networks.names.cache_clear()


def find(name):
    """The tiny network as the package sees it."""
    return clip_networks.find(f"{name}.{TAG}")


def make(name, seed=0):
    """The tiny network as open_clip makes it; random weights leave nothing as is."""
    torch.manual_seed(seed)
    model = open_clip.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.ndim < 2:
                parameter.add_(0.1 * torch.randn_like(parameter))
            elif "embedding" in key:
                torch.nn.init.normal_(parameter, std=0.5)
    return model


def files(name, model=None):
    """The files of the tiny network on the hub: content by name."""
    model = model or make(name)
    content = {"open_clip_model.safetensors": safetensors.torch.save(state(model))}
    return content | (tokenizer_files() if name == SIGLIP else {})


def state(model):
    """Its tensors, each of its own."""
    return {key: tensor.contiguous() for key, tensor in model.state_dict().items()}


def put(cache, network, content, commit=COMMIT):
    """Lay files where the hub's client would have; the path of their folder."""
    repository = cache / f"models--{network.weights.repository.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    for folder in (snapshot, repository / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / "main").write_text(commit)
    for name, data in content.items():
        (snapshot / name).write_bytes(data)
    return snapshot


def put_network(cache, name, seed=0):
    """Lay a tiny network there; the network, and the same as open_clip makes it."""
    network, model = find(name), make(name, seed)
    put(cache, network, files(name, model))
    return network, model


_LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßčšž0123456789▁"
_MERGES = (
    "do",
    "dog",
    "ca",
    "cat",
    "re",
    "red",
    "▁d",
    "▁do",
    "▁r",
    "▁re",
    "▁red",
    "pe",
)


def tokenizer_files(with_end=False, **settings):
    """A tokenizer like that of SigLIP 2, with few letters and words.

    Parameters
    ----------
    with_end : bool
        Whether ``tokenizer.json`` adds the last token; the settings say so anyway.
    **settings
        To be changed in ``tokenizer_config.json``.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    merges = [(word[:-1], word[-1]) for word in _MERGES]
    words = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *_LETTERS, *_MERGES]
    tokenizer = tokenizers.Tokenizer(
        models.BPE(
            vocab={word: index for index, word in enumerate(words)},
            merges=merges,
            byte_fallback=True,
            fuse_unk=True,
            unk_token="<unk>",
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.add_special_tokens(special)
    if with_end:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=["$A", "<eos>"], special_tokens=[("<eos>", 1)]
        )
    config = {
        "add_bos_token": False,
        "add_eos_token": True,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "padding_side": "right",
        "tokenizer_class": "GemmaTokenizer",
    }
    return {
        "tokenizer.json": tokenizer.to_str().encode(),
        "tokenizer_config.json": json.dumps(config | settings).encode(),
    }
