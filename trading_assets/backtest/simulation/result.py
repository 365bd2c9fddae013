"""What a backtest leaves, and why entries were refused in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from trading_assets.costs.funding import CHARGES
from trading_assets.store.tables import BACKTEST_METRICS
from trading_assets.strategies.orders.limits import CUT
from trading_assets.strategies.risk.cash import NO_CASH
from trading_assets.strategies.risk.gate import CUT_TO
from trading_assets.strategies.signals import MemoryJournal


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What a backtest leaves.

    Attributes
    ----------
    trades, equity
        Frames of the tables of these names.
    metrics
        Of :func:`trading_assets.backtest.metrics.compute`, ``refused``: entries that the limits of risk, venue,
        volume and cash refused, ``capped``: those that they made smaller, ``total_funding`` and, of it,
        ``assumed_funding``; ``payments``, those due on the markets, and how many are assumed, ``assumed_payments``.
    start, end
        The period: from the first prediction's bar to the last one's horizon, or the last candle.
    refusals
        What refused -> how often.
    engine_statistics
        NautilusTrader's own figures, for comparison.
    candles, bars
        Candles replayed, and bars that the engine got for them.
    funding
        What trades paid and received: columns of :data:`trading_assets.costs.funding.CHARGES`.
    benchmark
        Buy and hold of the same markets: ``ts``, ``equity``.
    orders, fills
        What the journal says of them: how each trade was entered, protected and left.
    """

    trades: pl.DataFrame
    equity: pl.DataFrame
    metrics: dict[str, float]
    start: datetime
    end: datetime
    refusals: dict[str, int] = field(default_factory=dict)
    engine_statistics: dict[str, float] = field(default_factory=dict)
    candles: int = 0
    bars: int = 0
    funding: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CHARGES))
    benchmark: pl.DataFrame = field(default_factory=pl.DataFrame)
    orders: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    fills: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def metrics_frame(self, model: str, version: int) -> pl.DataFrame:
        """The metrics as rows of the ``backtest_metrics`` table."""
        rows = [(model, version, name, value) for name, value in self.metrics.items()]
        return pl.DataFrame(rows, schema=BACKTEST_METRICS.columns, orient="row")


def is_cut(reason: str) -> bool:
    """Whether an entry was made smaller, by a limit of risk, by the volume or by the cash."""
    return CUT_TO in reason or CUT in reason or NO_CASH in reason


def refusals(journal: MemoryJournal) -> dict[str, int]:
    """What refused entries -> how often; what ends with the data does not count."""
    reasons: list[Any] = [row["reason"] for row in journal.of("signals") if row["action"] == "refuse"]
    kept = [reason for reason in reasons if not reason.startswith("halted: flatten: end")]
    return dict(Counter(re.split(r":?\s*\d", reason, maxsplit=1)[0] for reason in kept))
