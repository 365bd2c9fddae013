"""What somebody is to be told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from trading_assets.core.secrets import without_secrets

_LONGEST: Final = 1_000
"""Characters of a text: messengers take some thousand, and SMS less."""


class Level(StrEnum):
    """How bad it is: good to know, look at it today, look at it now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Grows with what it says.

        >>> Level.CRITICAL.rank > Level.WARNING.rank > Level.INFO.rank
        True
        """
        return tuple(Level).index(self)


@dataclass(frozen=True, slots=True)
class Alert:
    """What somebody is to be told. Secrets of the environment are replaced by ``***``.

    Parameters
    ----------
    level
        How bad it is.
    what
        What happened, with the value.
    where
        The place: a market, a model, a folder.
    remedy
        What to do about it.
    key
        Alerts of one key are one matter: told once, repeated seldom, acknowledged together. Parts are joined by ``/``,
        from the source to the place: ``node/feed-silent/binance:BTC/USDT``.
    over
        Whether the matter of that key has ended; nobody is told of the end of what was never told.
    """

    level: Level
    what: str
    where: str = ""
    remedy: str = ""
    key: str = ""
    over: bool = False

    def __post_init__(self) -> None:
        key = self.key or self.what
        texts = without_secrets(*(one[:_LONGEST] for one in (self.what, self.where, self.remedy, key)))
        for name, text in zip(("what", "where", "remedy", "key"), texts, strict=True):
            object.__setattr__(self, name, text)
