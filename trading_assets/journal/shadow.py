"""What is journalled of challengers: one event a bar, a line of words for each answer.

Eight challengers that spoke in rows like those of ``signals`` would make the journal nine times as long. An answer is
nine words, of which the number is exact: ``eth 3 9f86d081884c7d65 1 0.5612037468 0.5333 0.8 0.4 enter``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

import polars as pl

from trading_assets.journal.events import EVENT_ID, SHADOW, damaged
from trading_assets.store.tables import SHADOW_SIGNALS

HASH_DIGITS: Final = 16
"""Of a bundle's hash: as many as its folder's name has."""

_ACTIONS: Final = ("enter", "hold")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one version said on a bar.

    Attributes
    ----------
    bundle_hash
        Its first 16 digits.
    side
        1 long, -1 short.
    threshold
        The probability that the trade needs; four digits of it are kept.
    take_profit_pct, stop_loss_pct
        The barriers' distances in percent of the entry price.
    action
        ``enter`` or ``hold``.
    """

    model: str
    model_version: int
    bundle_hash: str
    side: int
    probability: float
    threshold: float
    take_profit_pct: float
    stop_loss_pct: float
    action: str

    def __str__(self) -> str:
        numbers = f"{self.side} {self.probability!r} {self.threshold:.4g} {self.take_profit_pct!r}"
        said = f"{numbers} {self.stop_loss_pct!r} {self.action}"
        return f"{self.model} {self.model_version} {self.bundle_hash[:HASH_DIGITS]} {said}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what ``str`` gave.

        Raises
        ------
        ValueError
            If it did not.
        """
        model, version, bundle_hash, side, probability, threshold, target, stop, action = text.split(" ")
        if action not in _ACTIONS or side not in ("1", "-1"):
            raise ValueError(f"{side} {action}")
        numbers = float(probability), float(threshold), float(target), float(stop)
        return cls(model, int(version), bundle_hash, int(side), *numbers, action)


def shadow_event(
    market: str, timeframe: str, bar_ts: datetime, *, ts: datetime, champion: Answer | None, others: Sequence[Answer]
) -> tuple[str, dict[str, Any]]:
    """What was said on a bar, as an event of the journal.

    Parameters
    ----------
    market, timeframe, bar_ts
        The bar, by its open.
    ts
        When; UTC.
    champion
        Of the model that trades; None where it said nothing.
    others
        Of the challengers.
    """
    return SHADOW, {
        EVENT_ID: f"{market} {timeframe} {bar_ts:%Y%m%dT%H%M}",
        "ts": ts,
        "market": market,
        "timeframe": timeframe,
        "bar_ts": bar_ts,
        "champion": None if champion is None else str(champion),
        "challengers": [str(one) for one in others],
    }


def shadow_signals(events: pl.DataFrame) -> pl.DataFrame:
    """Events of the kind ``shadow`` as rows of the table ``shadow_signals``, one for each answer.

    Raises
    ------
    NodeError
        If an answer cannot be read.
    """
    rows: list[tuple[object, ...]] = []
    for node, seq, ts, market, timeframe, bar_ts, champion, challengers in events.iter_rows():
        said = [*([("champion", champion)] if champion else []), *(("challenger", one) for one in challengers or ())]
        for role, text in said:
            one = _read(seq, text)
            who = (one.model, one.model_version, one.bundle_hash, role, one.side, one.probability, one.threshold)
            barriers = (one.take_profit_pct / 100, one.stop_loss_pct / 100)
            rows.append((node, seq, ts, market, timeframe, bar_ts, *who, *barriers, one.action))
    return pl.DataFrame(rows, schema=SHADOW_SIGNALS.columns, orient="row")


def _read(seq: int, text: str) -> Answer:
    try:
        return Answer.parse(text)
    except ValueError:
        raise damaged(seq, f"{text!r} is not an answer") from None
