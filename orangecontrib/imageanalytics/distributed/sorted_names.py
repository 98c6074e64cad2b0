"""Names in order, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

MOST_IN_MEMORY = 50_000


class SortedNames:
    """
    Names to be sorted, of which only some are in memory.

    The others are in a temporary database, which SQLite removes by itself.

    Parameters
    ----------
    most_in_memory : int
    """

    def __init__(self, most_in_memory: int = MOST_IN_MEMORY):
        self._most = most_in_memory
        self._names: list[str] = []
        self._database: sqlite3.Connection | None = None

    def __enter__(self) -> SortedNames:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Remove what is on disk."""
        if self._database is not None:
            self._database.close()

    def add(self, name: str) -> None:
        """Add a name; it may be there already.

        Raises
        ------
        OSError
            The disk is full.
        """
        self._names.append(name)
        if len(self._names) >= self._most:
            self._spill()

    def __iter__(self) -> Iterator[str]:
        """All names, in the order of `sorted`."""
        if self._database is None:
            self._names.sort()
            yield from self._names
            return
        self._spill()
        # In UTF-8, bytes have the order of characters.
        for (name,) in self._run("SELECT name FROM names ORDER BY name"):
            yield name.decode("utf-8", "surrogatepass")

    def _spill(self) -> None:
        if self._database is None:
            # Iterators may go on in another thread.
            self._database = sqlite3.connect("", check_same_thread=False)
            self._run("PRAGMA journal_mode = OFF")
            self._run("CREATE TABLE names (name BLOB)")
        rows = ((name.encode("utf-8", "surrogatepass"),) for name in self._names)
        self._run("INSERT INTO names VALUES (?)", rows)
        self._names = []

    def _run(self, statement: str, rows=None) -> sqlite3.Cursor:
        try:
            if rows is None:
                return self._database.execute(statement)
            return self._database.executemany(statement, rows)
        except sqlite3.OperationalError as error:
            raise OSError(f"no room for the list of names ({error})") from error
