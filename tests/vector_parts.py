"""Files of vectors for tests."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.vector_files import describe, vector_schema

N_FEATURES = 4
SPEC = EmbeddingSpec.choose("efficientnet-lite0")
DESCRIPTION = describe(SPEC)


def vectors_of(numbers) -> np.ndarray:
    """The vectors of images by their number."""
    numbers = np.asarray(numbers, dtype=np.float32)
    return numbers[:, None] + np.arange(N_FEATURES, dtype=np.float32) / 8


def write_part(
    path,
    numbers=range(10),
    *,
    failed=(),
    categories=("cat", "dog"),
    description=DESCRIPTION,
    origin="",
    group=5,
    **others,
):
    """Write a file of vectors of images called by their number; its path.

    `others` are further columns.
    """
    numbers = list(numbers)
    schema = vector_schema(N_FEATURES, description, origin)
    table = pa.table(
        [
            [f"a/{number}.png" for number in numbers],
            pa.array(
                [
                    None if number in failed else vector
                    for number, vector in zip(
                        numbers, vectors_of(numbers).tolist(), strict=True
                    )
                ],
                schema.field("vector").type,
            ),
            [640] * len(numbers),
            [480] * len(numbers),
            [categories[n % len(categories)] if categories else None for n in numbers],
            ["file is empty" if n in failed else None for n in numbers],
        ],
        schema,
    )
    for name, values in others.items():
        table = table.append_column(name, pa.array(values))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return str(path)


def numbers_of(table) -> list[int]:
    """The numbers of the images in a table."""
    return [int(path[2:-4]) for path in table.get_column("image")]


def damage_rows(path):
    """Leave nothing of a file but its footer."""
    content = bytearray(path.read_bytes())
    length = pq.read_metadata(path).serialized_size
    content[4 : len(content) - length - 8] = b"\xff" * (len(content) - length - 12)
    path.write_bytes(content)
