"""Undo for objects whose state is replaced, never changed."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

#: Earlier steps cannot be undone: each holds the classes of all images.
MOST_STEPS = 200


class Undoable:
    """
    Goes back to earlier states, and forward again, by at most `MOST_STEPS` steps.

    Parameters
    ----------
    state : dataclass
        The state at the start, with a method `same` that compares it to another.
    """

    def __init__(self, state):
        self._state = state
        self._done: deque[tuple[str, object]] = deque(maxlen=MOST_STEPS)
        self._undone: deque[tuple[str, object]] = deque(maxlen=MOST_STEPS)

    def _do(self, text: str, **changed) -> None:
        """Change fields of the state in one step, unless they stay the same."""
        state = replace(self._state, **changed)
        if not state.same(self._state):
            self._done.append((text, self._state))
            self._undone.clear()
            self._state = state

    @property
    def undo_text(self) -> str:
        """What `undo` would take back; empty if there is nothing."""
        return self._done[-1][0] if self._done else ""

    @property
    def redo_text(self) -> str:
        """What `redo` would do again; empty if there is nothing."""
        return self._undone[-1][0] if self._undone else ""

    def undo(self) -> str:
        """Take back the last step; return what it was, or an empty text."""
        return self._move(self._done, self._undone)

    def redo(self) -> str:
        """Do again what was taken back last; return what it was, or an empty text."""
        return self._move(self._undone, self._done)

    def _move(self, source: deque, target: deque) -> str:
        if not source:
            return ""
        text, state = source.pop()
        target.append((text, self._state))
        self._state = state
        return text

    def forget_steps(self) -> None:
        """Make what has happened so far the start, before which nothing is undone."""
        self._done.clear()
        self._undone.clear()
