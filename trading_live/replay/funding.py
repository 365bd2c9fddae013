"""Funding payments of a replayed perpetual, as far as its clock has come. No I/O."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from trading_assets.store.tables import FUNDING_RATES

NO_FUNDING: Final = pl.DataFrame(schema=FUNDING_RATES.columns)

_HOUR_MS: Final = 3_600_000
_USUAL_HOURS: Final = 8.0
"""Between two payments, where it is not stored."""


class Funding:
    """The payments of one symbol, addressed by the replayed clock in milliseconds.

    Parameters
    ----------
    symbol
        As the venue writes it.
    frame
        Rows of the table ``funding_rates``, sorted by ``ts``. A payment exists from its ``known_at`` on, which is the
        stamp that the venue gives it.

    Attributes
    ----------
    frame
        The same rows.
    """

    def __init__(self, symbol: str, frame: pl.DataFrame = NO_FUNDING) -> None:
        self.frame = frame
        self._settled_ms = frame["known_at"].dt.epoch("ms").to_numpy()
        next_ms = frame["ts"].dt.epoch("ms") + frame["interval_hours"].fill_null(_USUAL_HOURS) * _HOUR_MS
        self._next_ms: list[int] = next_ms.cast(pl.Int64).to_list()
        self._rows = [
            {
                "symbol": symbol,
                "fundingTime": settled,
                "fundingRate": _text(rate),
                "markPrice": "" if price is None else _text(price),
            }
            for settled, rate, price in zip(
                self._settled_ms.tolist(), frame["rate"].to_list(), frame["mark_price"].to_list(), strict=True
            )
        ]

    def settled(self, now_ms: int, *, start_ms: int | None, end_ms: int | None, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` payments of [start, end] up to now, ascending: the first ones; without start, the last."""
        stop = self._count(now_ms if end_ms is None else min(end_ms, now_ms))
        if start_ms is None:
            return self._rows[max(stop - limit, 0) : stop]
        begin = int(np.searchsorted(self._settled_ms, start_ms, side="left"))
        return self._rows[begin : min(stop, begin + limit)]

    def last(self, now_ms: int) -> tuple[str, int]:
        """The newest settled rate and when the next payment is due; ("0", 0) where there is none."""
        count = self._count(now_ms)
        return (self._rows[count - 1]["fundingRate"], self._next_ms[count - 1]) if count else ("0", 0)

    def _count(self, until_ms: int) -> int:
        return int(np.searchsorted(self._settled_ms, until_ms, side="right"))


def _text(value: float) -> str:
    """The shortest decimal that reads back as the same number."""
    return np.format_float_positional(value, trim="-")
