"""Read networks of open_clip, the parts for images, at their layers."""

from __future__ import annotations

from torch import Tensor, nn

from orangecontrib.imageanalytics.networks.layers import Stage

# Of open_clip's modified ResNets.
_RESNET_STAGES = ("act3", "layer1", "layer2", "layer3", "layer4")


class Joint(nn.Module):
    """A network whose vectors are comparable with those of texts.

    Parameters
    ----------
    visual : torch.nn.Module
    """

    def __init__(self, visual: nn.Module):
        super().__init__()
        self.visual = visual

    def forward(self, x: Tensor) -> Tensor:
        """Vectors of length 1, shape (n, features)."""
        return nn.functional.normalize(self.visual(x).float(), dim=-1)


class Intermediate(nn.Module):
    """A network up to one of its stages.

    Parameters
    ----------
    visual : torch.nn.Module
    index : int
        Index of the stage in `stage_names`.
    """

    def __init__(self, visual: nn.Module, index: int):
        super().__init__()
        self.visual = visual
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        """The stage's map, shape (n, features, side, side)."""
        output = self.visual.forward_intermediates(
            x, indices=[self.index], stop_early=True, intermediates_only=True
        )
        (stage,) = output["image_intermediates"]
        return stage


def before_projection(visual: nn.Module) -> nn.Module:
    """The network without the projection to the space that words share.

    Parameters
    ----------
    visual : torch.nn.Module
        Do not use it afterwards.
    """
    if hasattr(visual, "attnpool"):  # which also projects
        return Stage(visual, _RESNET_STAGES[-1])
    if not hasattr(visual, "trunk"):
        visual.proj = None
    elif len(visual.head):
        visual.head = nn.Identity()
    elif visual.trunk.num_classes:
        visual.trunk.reset_classifier(0)
    return visual


def stage_names(visual: nn.Module) -> tuple[str, ...]:
    """Names of the stages of a network, first to last; they are names of modules."""
    if hasattr(visual, "attnpool"):
        return _RESNET_STAGES
    if hasattr(visual, "trunk"):
        return tuple(f"trunk.{stage['module']}" for stage in visual.trunk.feature_info)
    blocks = range(len(visual.transformer.resblocks))
    return tuple(f"transformer.resblocks.{index}" for index in blocks)
