"""Shorter precisions in torch: networks for which they work, and slow processors."""

from __future__ import annotations

import copy
import functools
import logging
import time

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from orangecontrib.imageanalytics.engine.probing import (
    LEAST_COSINE,
    least_cosine,
    probe_squares,
)
from orangecontrib.imageanalytics.errors import first_line
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

log = logging.getLogger(__name__)


def shortened(
    module: torch.nn.Module,
    spec: EmbeddingSpec,
    precision: str,
    device: torch.device,
) -> torch.nn.Module | None:
    """A copy of a network with weights in a shorter precision.

    It avoids the conversions that autocast makes between layers. But autocast uses
    single precision where it is needed; without it, Swin V2 returns no numbers at
    all. The copy is therefore tried on photos first. Programs have fixed types.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on `device`.
    spec : EmbeddingSpec
        Describes the network and how images are prepared for it.
    precision : str
        One of `PRECISIONS`.
    device : torch.device

    Returns
    -------
    torch.nn.Module or None
        None if its vectors would be wrong or nothing would be shorter.
    """
    if precision == "float32" or not spec.network.compiles:
        return None
    dtype = getattr(torch, precision)
    try:
        half = _converted(module, dtype)
        cosine = _least_cosine(module, half, spec.preprocessing, dtype, device)
    except Exception as error:  # what a layer lacks in this precision
        cosine, reason = 0.0, first_line(error)
    else:
        reason = f"cosine similarity {cosine:.5f}"
    if cosine >= LEAST_COSINE:
        return half
    log.info("%s is run with autocast: %s", spec.network.name, reason)
    return None


def _converted(module, dtype):
    """A copy in a shorter precision, in the layout that GPUs compute fastest with."""
    half = copy.deepcopy(module).to(memory_format=torch.channels_last)
    for part in half.modules():
        # A variance may be outside the range of half precision. GPUs take single
        # precision beside it.
        if not isinstance(part, _BatchNorm):
            for tensor in (*part.parameters(False), *part.buffers(False)):
                if tensor.is_floating_point():
                    tensor.data = tensor.data.to(dtype)
    return half


def _least_cosine(module, half, preprocessing, dtype, device) -> float:
    squares = torch.from_numpy(probe_squares(preprocessing))
    with torch.inference_mode():
        numbers = preprocessing.normalise(squares.to(device))
        vectors = half(numbers.to(dtype)).float().cpu()
        return least_cosine(vectors.numpy(), module(numbers).cpu().numpy())


@functools.cache
def slowdown(precision: str) -> float:
    """How many times as long as float32 a precision takes on this processor.

    This is measured on a convolution like those in networks, since the features of a
    processor do not tell whether torch uses them.
    """
    layer = torch.nn.Conv2d(32, 32, 3).requires_grad_(False)
    maps = torch.zeros(1, 32, 40, 40)

    def seconds(is_short: bool) -> float:
        with torch.autocast("cpu", getattr(torch, precision), enabled=is_short):
            layer(maps)
            times = []
            for _ in range(3):
                start = time.perf_counter()
                layer(maps)
                times.append(time.perf_counter() - start)
            return min(times)

    return seconds(True) / seconds(False)
