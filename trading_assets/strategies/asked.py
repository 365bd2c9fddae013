"""A strategy asked by the host: bar by bar as they close, or all bars at once as stored predictions."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from trading_assets.labels import scale_lookback, widths
from trading_assets.settings import LabelSettings
from trading_assets.strategies.base import ANSWERS, Strategy
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.signals import ClosedBar, Signal, answer_on

_COLUMNS = ("market", "ts", "known_at", "open", "high", "low", "close", "volume")


def predictions(strategy: Strategy, bars: pl.DataFrame, labels: LabelSettings) -> pl.DataFrame:
    """What a strategy says on all bars of one market: rows of ``predictions``, one for each side that it wants.

    Parameters
    ----------
    strategy
        Asked once.
    bars
        ``market``, ``ts``, ``known_at``, OHLCV and the strategy's inputs, ascending.
    labels
        The barriers of its trades.

    Returns
    -------
    pl.DataFrame
        ``market``, ``ts``, ``known_at``, ``side``, ``probability``, ``take_profit``, ``stop_loss``.
    """
    told = bars.select("market", "ts", "known_at").hstack(strategy.answers(bars)).hstack(widths(bars, labels))
    sides = [
        told.select(
            "market", "ts", "known_at", pl.lit(side.value, pl.Int8).alias("side"), pl.col(word).alias("probability"),
            "take_profit", "stop_loss",
        )
        for word, side in ANSWERS.items()
    ]  # fmt: skip
    return pl.concat(sides).drop_nulls().sort("ts", "side")


class AskedStrategy:
    """The signal source of a strategy that reads bars alone: it is asked once for each bar that closes.

    Parameters
    ----------
    strategy
        What decides.
    entry, labels
        The rule of entry, and the barriers and horizon of its trades.
    name
        What the signals are attributed to.
    """

    def __init__(self, strategy: Strategy, *, entry: EntryRule, labels: LabelSettings, name: str) -> None:
        self._strategy = strategy
        self._entry = entry
        self._labels = labels
        self._name = name
        self._rows = max(strategy.lookback_bars, scale_lookback(labels))
        self._held: dict[str, list[ClosedBar]] = {}

    def on_bars(self, bars: Sequence[ClosedBar]) -> list[Signal | None]:
        """The answer on each bar, of the better side; None while too few bars are known, and where there is none."""
        return [self._on_bar(bar) for bar in bars]

    def _on_bar(self, bar: ClosedBar) -> Signal | None:
        held = self._held.setdefault(bar.market, [])
        held.append(bar)
        del held[: -self._rows]
        if len(held) < self._rows:
            return None
        frame = pl.DataFrame([[getattr(one, name) for name in _COLUMNS] for one in held], schema=_COLUMNS, orient="row")
        answer = self._strategy.answers(frame).row(-1, named=True)
        target, stop = widths(frame, self._labels).row(-1)
        if target is None or stop is None:
            return None
        return answer_on(
            bar,
            {side: answer[word] for word, side in ANSWERS.items() if answer[word] is not None},
            rule=self._entry,
            take_profit_pct=target * 100,
            stop_loss_pct=stop * 100,
            horizon_bars=self._labels.horizon_bars,
            model=self._name,
        )
