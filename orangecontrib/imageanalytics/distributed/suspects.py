"""Search for the image that kills the processes which read it.

A part that was running whenever its worker died is cut into pieces, these again, and so
on, until an image is alone. All others are embedded on the way. The pieces are tasks
as the parts are, each with a file of its own, which are joined in the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from orangecontrib.imageanalytics.distributed.listing import Part

PIECES_AT_ONCE = 10


@dataclass
class Suspect:
    """
    A part that is being searched.

    Parameters
    ----------
    part : Part

    Attributes
    ----------
    starts : list of int
        First rows of the pieces that are embedded.
    killers : list of int
        Rows of the images that kill.
    """

    part: Part
    starts: list[int] = field(default_factory=list)
    killers: list[int] = field(default_factory=list)
    _pending: set[tuple[int, int]] = field(default_factory=set)

    def split(self, start: int, stop: int) -> list[tuple[int, int]]:
        """
        Cut rows that killed their worker into smaller pieces.

        Parameters
        ----------
        start, stop : int
            The rows of the part, or of a piece from an earlier call.

        Returns
        -------
        list of (int, int)
            First and last row (exclusive) of the pieces to embed next. A single row
            is tried again: a worker decides whether its image kills, since Dask also
            counts tasks that were waiting at a worker that died.
        """
        self._pending.discard((start, stop))
        step = -(-(stop - start) // PIECES_AT_ONCE)
        pieces = [(at, min(at + step, stop)) for at in range(start, stop, step)]
        self._pending.update(pieces)
        return pieces

    def take(self, start: int, stop: int) -> None:
        """A piece has been embedded."""
        self._pending.discard((start, stop))
        self.starts.append(start)

    def give_up(self, start: int) -> None:
        """The image in this row kills whatever process reads it."""
        self._pending.discard((start, start + 1))
        self.killers.append(start)

    @property
    def is_solved(self) -> bool:
        """Whether each row is in a piece, or known to kill."""
        return not self._pending
