"""Which network is used, and which vectors a table has already."""

from __future__ import annotations

import contextlib
import dataclasses
import os

from Orange.data import Domain, Table, Variable

from orangecontrib.imageanalytics.embedding_columns import (
    EmbeddingFeature,
    EmbedImages,
)
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.images.intensity import Intensity, as_intensity
from orangecontrib.imageanalytics.images.sources import image_column
from orangecontrib.imageanalytics.networks.network import JOINT, Network
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    find_network,
    word_networks,
)
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec


def choose_spec(
    table: Table | None = None,
    column: str | Variable | None = None,
    model: str | os.PathLike | Network | None = None,
    layer: str | None = None,
    words: bool = False,
    *,
    fit: str | None = None,
    precision: str | None = None,
    intensity: Intensity | None = None,
) -> EmbeddingSpec:
    """Choose how images are embedded; nothing is downloaded or loaded.

    It takes seconds if a network's package has to be imported, as for ``"timm:NAME"``.
    If the table has vectors of the chosen network, they are used, with their layer
    and options. Without a model, that is the network whose vectors the table has, or
    else the default network; for words, one that knows words.

    Parameters
    ----------
    table : Table, optional
    column : str or Variable, optional
        Its column of images; by default the first.
    model : str, path-like or Network, optional
        As for `find_network`.
    layer : str, optional
        By default that of the vectors that the table has, or the network's own. For
        words, it is always ``"joint"``.
    words : bool
        Whether images are also compared to texts.
    fit, precision, intensity
        As for `EmbeddingSpec.choose`; by default those of the vectors that the table
        has.

    Returns
    -------
    EmbeddingSpec
        Its `network` is a `NetworkReference` if the vectors in the table were made
        with a network that is not on this computer, and there are no words.

    Raises
    ------
    ValueError
        When there is no such model, column or option. For words, when the model does
        not know words; the message names those that do.
    ModelError
        When a file cannot be used.
    """
    if words:
        if layer not in (None, JOINT):
            raise ValueError(
                f"Images and words are compared at the layer {JOINT}, not {layer}."
            )
        layer = JOINT
    network = None if model is None else find_network(model)
    if words and network is not None:
        check_knows_words(network)
    options = {"fit": fit, "precision": precision, "intensity": intensity}
    if intensity is not None:
        options["intensity"] = as_intensity(intensity)
    if table is not None:
        known = [compute.spec for compute in vector_columns(table, column)]
        for spec in known:
            if _is_wanted(spec, network, layer, options):
                found = _found(spec, network, words)
                if found is not None:
                    return found
    if network is None:
        network = word_networks()[0] if words else find_network(DEFAULT)
    return EmbeddingSpec.choose(network, layer, **options)


def check_knows_words(network: Network) -> None:
    """
    Raises
    ------
    ValueError
        When a network has no vectors for words.
    """
    if not network.knows_words:
        names = ", ".join(other.id for other in word_networks())
        raise ValueError(
            f"{network.name} does not know words, but finds images by example. "
            f"These networks know words: {names}, and all clip:NAME"
        )


def _is_wanted(spec, network, layer, options) -> bool:
    if network is not None:
        made_by = spec.network
        is_same = made_by.fingerprint == network.fingerprint
        if network.fingerprint is None:  # its weights are not here
            is_same = made_by.id == network.id
        if not is_same:
            return False
    if layer not in (None, spec.layer):
        return False
    return all(value in (None, getattr(spec, name)) for name, value in options.items())


def _found(spec, network, words) -> EmbeddingSpec | None:
    """The spec with its network, as far as that is needed; None if it is not found."""
    if network is not None and (words or network.fingerprint is not None):
        return dataclasses.replace(spec, network=network)
    with contextlib.suppress(ModelError, ValueError):
        return spec.found()
    if not words:
        return spec  # the vectors in the table are still good
    with contextlib.suppress(ModelError, ValueError):
        # Its part for texts is needed, so its weights have to be fetched.
        return dataclasses.replace(spec, network=find_network(spec.network.id))
    return None


def vector_columns(
    table: Table, column: str | Variable | None = None
) -> dict[EmbedImages, list[Variable]]:
    """The vectors of a column of images that a table has.

    Parameters
    ----------
    table : Table
    column : str or Variable, optional
        The column of images; by default the first.

    Returns
    -------
    dict of EmbedImages to list of Variable
        Variables in the order of the numbers. Vectors of which some numbers are
        missing are left out.

    Raises
    ------
    ValueError
        When there is no such column.
    """
    name = image_column(table, column).name
    found: dict[EmbedImages, dict[int, Variable]] = {}
    for variable in _numeric(table.domain):
        feature = variable.compute_value
        if isinstance(feature, EmbeddingFeature):
            compute = feature.compute_shared
            if compute.column == name:
                found.setdefault(compute, {})[feature.index] = variable
    return {
        compute: [variables[index] for index in sorted(variables)]
        for compute, variables in found.items()
        if _is_complete(compute.spec, variables)
    }


def _numeric(domain: Domain):
    for variable in (*domain.variables, *domain.metas):
        if variable.is_continuous:
            yield variable


def _is_complete(spec: EmbeddingSpec, variables: dict[int, Variable]) -> bool:
    n_features = len(variables)
    try:
        network = find_network(spec.network.id, dict(spec.network.about) or None)
        if spec.layer == network.layer and network.n_features is not None:
            n_features = network.n_features
    except (ModelError, ValueError):
        pass  # its file is elsewhere
    return set(variables) == set(range(n_features))
