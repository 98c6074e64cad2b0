"""Texts of Load Vectors: what there is, and what was loaded."""

import ntpath

from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.networks.network import LOGITS, PENULTIMATE
from orangecontrib.imageanalytics.networks.registry import NETWORKS, is_file_name
from orangecontrib.imageanalytics.vector_files.dataset import VectorDataset
from orangecontrib.imageanalytics.vector_files.reading import Loaded
from orangecontrib.imageanalytics.widgets.vectors.loading_task import Found

#: Of the link to the list of images without vectors.
SKIPPED = "#skipped"
_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_IN_WORDS = {PENULTIMATE: "penultimate layer", LOGITS: "class scores"}


def size(n_bytes: float) -> str:
    """A size in memory, such as "4.2 GB"."""
    for unit, factor in _UNITS:
        if n_bytes >= factor:
            number = n_bytes / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:,.0f} {unit}"
    return f"{n_bytes:.0f} bytes"


def contents(found: Found) -> list[tuple[str, str]]:
    """
    What a dataset contains.

    Returns
    -------
    list of (str, str)
        Names and values, plain text.
    """
    dataset = found.dataset
    rows = [("Images", _images(dataset))]
    if dataset.n_features:
        rows.append(("Vectors", f"{dataset.n_features:,} numbers each"))
    if dataset.spec is not None:
        rows.append(("Network", network_name(dataset)))
        layer = dataset.spec.layer
        rows.append(("Layer", _IN_WORDS.get(layer, layer)))
    rows.append(("Categories", _categories(found)))
    return rows


def _images(dataset: VectorDataset) -> str:
    n_rows, n_failed = dataset.n_rows, dataset.n_failed
    text = f"{n_rows:,}"
    if dataset.n_files > 1:
        text += f" in {dataset.n_files:,} files"
    if n_failed:
        text += f", {_without(n_failed)}"
    return text


def _without(n_images: int) -> str:
    return f"{n_images:,} without {pl(n_images, 'a vector|vectors')}"


def _categories(found: Found) -> str:
    if found.n_categories is None:
        return "counted when they are loaded"
    return f"{found.n_categories:,}" if found.n_categories else "none"


def network_name(dataset: VectorDataset) -> str:
    """The network of a dataset as users know it."""
    name = dataset.spec.network.id
    names = {network.id: network.name for network in NETWORKS}
    return names.get(name) or (ntpath.basename(name) if is_file_name(name) else name)


def summary(loaded: Loaded) -> str:
    """What was loaded, with a link to the list of images without vectors."""
    n_rows = len(loaded.table)
    text = f"{n_rows:,} {pl(n_rows, 'image')}"
    if n_rows < loaded.n_matching:
        text += f" of {loaded.n_matching:,}"
    category = loaded.table.domain.class_var
    if category is not None:
        n_categories = len(category.values)
        text += f" / {n_categories:,} {pl(n_categories, 'category')}"
    n_features = len(loaded.table.domain.attributes)
    text += f" / {n_features:,} {pl(n_features, 'number')} each"
    if loaded.n_skipped:
        text += f', <a href="{SKIPPED}">{_without(loaded.n_skipped)}</a>'
    return text
