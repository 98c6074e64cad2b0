"""Names of the classes that networks were trained to tell apart."""

import functools
import os

#: Stands for the 1000 classes of ImageNet (ILSVRC 2012). All weights that were trained
#: on them list them in the same order.
IMAGENET = "imagenet"


@functools.cache
def imagenet_classes() -> tuple[str, ...]:
    """Names of the 1000 classes of ImageNet, in their order.

    The first synonym of each, made unambiguous, as in torchvision (BSD-3-Clause):
    github.com/pytorch/vision, torchvision/models/_meta.py. They are kept here, since
    importing torchvision takes seconds.
    """
    path = os.path.join(os.path.dirname(__file__), "imagenet_classes.txt")
    with open(path, encoding="utf-8") as file:
        return tuple(file.read().splitlines())
