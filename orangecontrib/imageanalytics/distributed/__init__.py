"""Embedding of millions of images, by the processes of a Dask cluster.

The vectors are written as a folder of Parquet files, which `read_dataset` and other
programs read in whole or in part.
"""

from orangecontrib.imageanalytics.distributed.embedding import embed_dataset
from orangecontrib.imageanalytics.distributed.job import JobError
from orangecontrib.imageanalytics.distributed.progress import Progress, Summary
from orangecontrib.imageanalytics.vector_files import read_dataset

__all__ = ["JobError", "Progress", "Summary", "embed_dataset", "read_dataset"]
