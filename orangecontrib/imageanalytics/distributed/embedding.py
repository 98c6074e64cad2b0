"""The function that embeds a dataset. Dask is imported when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from orangecontrib.imageanalytics.distributed import clusters
from orangecontrib.imageanalytics.distributed.job import Job, JobError
from orangecontrib.imageanalytics.distributed.listing import PART_SIZE, Listing
from orangecontrib.imageanalytics.distributed.output import Output, part_name
from orangecontrib.imageanalytics.distributed.progress import Progress, Summary
from orangecontrib.imageanalytics.engine.device import AUTOMATIC, check_precision
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.images.intensity import Intensity
from orangecontrib.imageanalytics.networks.network import LOGITS, Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

# Parts of short lists are smaller, so that each worker gets some.
SMALLEST_PART = 500
PARTS_PER_WORKER = 4


def embed_dataset(
    source: str | os.PathLike | Sequence[str],
    output: str | os.PathLike,
    model: str | os.PathLike | Network = DEFAULT,
    *,
    cluster=None,
    workers: int | None = None,
    column: str | None = None,
    category: str | None = None,
    layer: str | None = None,
    fit: str | None = None,
    precision: str | None = None,
    intensity: Intensity | None = None,
    preprocessing: Preprocessing | dict | None = None,
    trust: bool = False,
    device: str = AUTOMATIC,
    batch_size: int | None = None,
    engine: str = AUTOMATIC,
    threads: int | None = None,
    cache: bool = False,
    part_size: int | None = None,
    force: bool = False,
    callback: Callable[[Progress], None] | None = None,
) -> Summary:
    """Embed any number of images, in the processes of a Dask cluster.

    The vectors become a folder of Parquet files, ``part-00000.parquet`` and so on. If
    the run is stopped, or a computer fails, call this again with the same arguments:
    only parts that are not there are computed.

    If this starts processes on this computer (`cluster` is None), a script must call it
    under ``if __name__ == "__main__":``, as always with processes in Python.

    Parameters
    ----------
    source : str, path-like or sequence of str
        A folder; a pattern such as ``"s3://bucket/photos/**/*.jpg"``; a text file with
        a path or URL on each line; a CSV or Parquet file with a column of them; tar
        files as webdataset writes them, ``"shard-{000..099}.tar"``; or paths and URLs.
        Paths and URLs may be of any kind that fsspec reads. The workers must find the
        images under the same names.
    output : str or path-like
        A folder, or the URL of one, which all workers can write to.
    model, layer, fit, precision, intensity, preprocessing
        As for `ImageEmbedder`.
    cluster : str, distributed.Client, Dask cluster or None
        The address of a scheduler, such as ``"tcp://scheduler:8786"``, or the path of
        its JSON file. By default, processes are started on this computer and ended
        after the run.
    workers : int, optional
        The number of processes on this computer. The default suits its processors.
    column, category : str, optional
        Columns of a CSV or Parquet file with the images and their classes.
    trust : bool, optional
        As for `ImageEmbedder`. The workers' computers remember it, too.
    device, batch_size, engine
        As for `ImageEmbedder`, on each worker.
    threads : int, optional
        Threads of each worker process that decode images and run the network. By
        default, the number that Dask gave to it, or with a GPU its share of the
        processors.
    cache : bool, optional
        Whether the workers keep vectors in their cache, and use those that are there.
    part_size : int, optional
        Number of images in a file. The default is 10,000, or fewer if the list is so
        short that workers would have nothing to do.
    force : bool, optional
        Whether to remove the vectors of another job, or of an earlier run, from the
        output, and to begin again. Other files are never removed.
    callback : callable, optional
        Called several times a second with a `Progress`. An exception that it raises
        stops the run within seconds.

    Returns
    -------
    Summary
        The number of images, failures and parts.

    Raises
    ------
    JobError
        When the output has the vectors of another job, the scheduler is not reached or
        lost, or a part cannot be written. Parts that are finished stay.
    ListingError
        When there is no such list of images.
    ModelError, TrustNeededError
        As for `ImageEmbedder`.
    ValueError
        When the network, layer, precision or fit does not exist.
    ImageAnalyticsError
        When Dask is not installed.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.distributed import embed_dataset
    >>> summary = embed_dataset("photos", "vectors", workers=2)
    >>> summary.images, summary.failed
    """
    clusters.import_distributed()
    if part_size is not None and part_size < 1:
        raise ValueError("part_size should be at least 1")
    network = find_network(model, preprocessing, trust)
    if cluster is None:  # else only the workers need the packages of the network
        network.check_installed()  # before anybody waits for a download
    network.weights.ensure(network.name)
    network.check_trust()
    check_precision(precision)
    spec = EmbeddingSpec.choose(
        network, layer, fit, precision=precision, intensity=intensity
    )
    if layer is not None:
        Embedder(spec).check_layer()
    folder = Output(output)
    size = part_size or (None if force else folder.part_size())
    listing = Listing(
        source, column, category, size or PART_SIZE, leave_out=folder.full_address
    )
    # Before anything is written, it is clear that there are images.
    if size is None and cluster is None:
        n_workers = workers or clusters.default_workers()
        listing.part_size = _size_of_parts(listing, n_workers)
    else:
        next(listing.parts())
    job = Job(
        spec=spec.portable(),
        listing=listing.description,
        part_size=listing.part_size,
        class_names=network.load_class_names() if layer == LOGITS else (),
    )
    if not force:
        _check_finished(listing, folder, folder.finished(job))

    from orangecontrib.imageanalytics.distributed.run import Run
    from orangecontrib.imageanalytics.distributed.worker import Options

    options = Options(device, batch_size, engine, cache, trust, threads)
    callback = callback or (lambda _progress: None)
    with clusters.connected(cluster, workers) as client:
        # Nothing is removed or written before somebody is there who computes.
        finished = folder.begin(job, force)
        return Run(client, job, listing, folder, options, finished, callback)()


def _size_of_parts(listing: Listing, n_workers: int) -> int:
    """The number of images in a part, such that each worker gets some."""
    n_parts = n_workers * PARTS_PER_WORKER
    n_images = 0
    for part in listing.parts():
        n_images += len(part.sources)
        if part.shard is not None or n_images >= n_parts * PART_SIZE:
            return PART_SIZE
    return min(PART_SIZE, max(SMALLEST_PART, -(-n_images // n_parts)))


def _check_finished(listing: Listing, output: Output, finished: set[int]) -> None:
    """Refuse to go on with parts that are about other images than the list now.

    Raises
    ------
    JobError
    """
    if not finished:
        return
    digests = output.digests(finished)
    for part in listing.parts():
        digest = digests.pop(part.number, None)
        if digest is not None and digest != part.digest():
            raise _other_listing(output, part.number, output.first_difference(part))
        if not digests:
            return
    raise _other_listing(
        output, min(digests), "the list of images has no such part any longer"
    )


def _other_listing(output: Output, number: int, text: str) -> JobError:
    return JobError(
        f"{output.address} has the vectors of another list of images: in "
        f"{part_name(number)}, {text}. Choose another folder, or use --force "
        "(force=True) to remove them and begin again."
    )
