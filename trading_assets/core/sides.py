"""The two directions of a trade."""

from __future__ import annotations

from enum import IntEnum
from typing import Self


class Side(IntEnum):
    """Long earns when the price rises, short when it falls; stored as 1 and -1.

    >>> Side.parse("short") is Side.SHORT
    True
    >>> Side.LONG.opposite.word
    'short'
    """

    LONG = 1
    SHORT = -1

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read ``long`` or ``short``.

        Raises
        ------
        ValueError
            If it is neither.
        """
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f"{word!r} is no side: write long or short") from None

    @property
    def word(self) -> str:
        """``long`` or ``short``, as people and settings write it."""
        return self.name.lower()

    @property
    def opposite(self) -> Self:
        """The other side."""
        return type(self)(-self)
