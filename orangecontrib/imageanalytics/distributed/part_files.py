"""Writing of parts: Parquet files of a few rows at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from orangecontrib.imageanalytics.distributed.output import PART_KEY
from orangecontrib.imageanalytics.engine.results import Embedded
from orangecontrib.imageanalytics.vector_files import (
    ROWS_PER_GROUP,
    vector_array,
    vector_schema,
)

MOST_REASONS = 20

MISSING = "the path is missing"


@dataclass
class PartResult:
    """
    What is told about a finished part; it is small, whatever the part holds.

    Attributes
    ----------
    n_images, n_failed : int
    reasons : collections.Counter
        How many images have no vector for which reason; the most frequent reasons.
    examples : list of (str, str)
        A few images without vectors, with the reasons.
    """

    n_images: int = 0
    n_failed: int = 0
    reasons: Counter = field(default_factory=Counter)
    examples: list[tuple[str, str]] = field(default_factory=list)

    def to_json(self) -> dict:
        """The values, as JSON can hold them."""
        return {
            "images": self.n_images,
            "failed": self.n_failed,
            "reasons": dict(self.reasons),
            "examples": [list(example) for example in self.examples],
        }

    @classmethod
    def from_json(cls, values: dict) -> PartResult:
        """The result that `to_json` has described."""
        return cls(
            n_images=values["images"],
            n_failed=values["failed"],
            reasons=Counter(values["reasons"]),
            examples=[tuple(example) for example in values["examples"]],
        )

    def add(self, other: PartResult) -> None:
        """Add what another result counts."""
        self.n_images += other.n_images
        self.n_failed += other.n_failed
        self.reasons.update(other.reasons)
        if len(self.reasons) > 2 * MOST_REASONS:
            self.reasons = Counter(dict(self.reasons.most_common(MOST_REASONS)))
        self.examples = (self.examples + other.examples)[:MOST_REASONS]

    @classmethod
    def of(cls, failures: Iterable[tuple[str, str]], n_images: int) -> PartResult:
        """Count images and their failures."""
        failures = list(failures)
        reasons = Counter(reason for _, reason in failures)
        return cls(
            n_images,
            len(failures),
            Counter(dict(reasons.most_common(MOST_REASONS))),
            failures[:MOST_REASONS],
        )


class PartWriter:
    """
    Writes the rows of a part, in a context.

    Parameters
    ----------
    path : str
        Local file to write.
    n_features : int
        Length of the vectors.
    description : dict
        As for `vector_schema`.
    digest : str
        Identifies the list of images.
    """

    def __init__(self, path: str, n_features: int, description: dict, digest: str):
        self._schema = vector_schema(n_features, description)
        self._path, self._digest, self._n_features = path, digest, n_features
        self.result = PartResult()

    def __enter__(self) -> PartWriter:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            self._path,
            self._schema,
            # Of numbers that are all different, there is no dictionary.
            use_dictionary=["category", "error"],
        )
        return self

    def __exit__(self, *_) -> None:
        about = {"digest": self._digest, **self.result.to_json()}
        self._writer.add_key_value_metadata({PART_KEY: json.dumps(about).encode()})
        self._writer.close()

    def write(
        self,
        sources: Sequence[str | None],
        categories: Sequence[str | None],
        embedded: Embedded,
    ) -> None:
        """
        Add rows.

        Parameters
        ----------
        sources, categories : sequence
            A path or URL for each row, and its class; no categories if there are none.
        embedded : Embedded
            The result for these sources, with sizes.
        """
        missing = [
            None if row >= 0 else embedded.failures.get(source, MISSING)
            for source, row in zip(sources, embedded.rows, strict=True)
        ]
        for start in range(0, len(sources), ROWS_PER_GROUP):
            part = slice(start, start + ROWS_PER_GROUP)
            self._write_group(
                sources[part], categories[part], embedded, part, missing[part]
            )
        failures = zip(sources, missing, strict=True)
        self._count(
            [(source or "", reason) for source, reason in failures if reason],
            len(sources),
        )

    def write_failures(
        self,
        sources: Sequence[str | None],
        categories: Sequence[str | None],
        reason: str,
    ) -> None:
        """Add rows without vectors, all for the same reason."""
        rows = np.full(len(sources), -1)
        nothing = Embedded(
            vectors=np.empty((0, self._n_features), np.float32),
            rows=rows,
            failures={source: reason for source in sources if source},
            statistics=None,
            sizes=np.zeros((len(sources), 2), np.int32),
        )
        self.write(sources, categories, nothing)

    def write_table(self, table) -> None:
        """Add rows of another file of the same job."""
        self._writer.write_table(table.cast(self._schema), ROWS_PER_GROUP)
        errors = table.column("error").to_pylist()
        paths = table.column("path").to_pylist()
        failures = [
            (path or "", error)
            for path, error in zip(paths, errors, strict=True)
            if error
        ]
        self._count(failures, len(table))

    def _count(self, failures, n_images) -> None:
        self.result.add(PartResult.of(failures, n_images))

    def _write_group(self, sources, categories, embedded, part, missing) -> None:
        import pyarrow as pa

        sizes = embedded.sizes[part]
        unknown = sizes == 0
        columns = [
            pa.array(_texts(sources), pa.string()),
            self._vectors(embedded, embedded.rows[part]),
            pa.array(sizes[:, 0], pa.int32(), mask=unknown[:, 0]),
            pa.array(sizes[:, 1], pa.int32(), mask=unknown[:, 1]),
            pa.array(_texts(categories or [None] * len(sources)), pa.string()),
            pa.array(_texts(missing), pa.string()),
        ]
        table = pa.Table.from_arrays(columns, schema=self._schema)
        self._writer.write_table(table, ROWS_PER_GROUP)

    def _vectors(self, embedded: Embedded, rows: np.ndarray):
        """The vectors of rows, null where there is none."""
        has_none = rows < 0
        return vector_array(embedded.vectors[rows[~has_none]], has_none)


def _texts(values: Sequence[str | None]) -> list[str | None]:
    """Texts for Parquet, with a mark in place of what is not valid, as in odd names."""
    return [
        value and value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for value in values
    ]
