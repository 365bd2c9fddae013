"""A project's tables as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from trading_assets.core.timeframes import Timeframe
from trading_assets.research.asked import Markets, Moment, moment
from trading_assets.settings import Settings
from trading_assets.settings.names import check_known
from trading_assets.store import Store
from trading_assets.store.tables import (
    BACKTEST_METRICS,
    BARS,
    CANDLES,
    EQUITY,
    FEATURES,
    FOLDS,
    LABELS,
    PREDICTIONS,
    TRADES,
    Table,
)


@dataclass(frozen=True)
class Tables:
    """What is stored, by market, timeframe, label set, model and time; ``docs/reference/tables.md`` has the columns.

    Attributes
    ----------
    settings
        As they were read.
    store
        Where the tables are.
    """

    settings: Settings
    store: Store

    def candles(
        self, market: Markets = None, *, start: Moment | None = None, end: Moment | None = None
    ) -> pl.DataFrame:
        """The finest candles stored, ``start <= ts < end``."""
        names = self._markets(market)
        finest = sorted({self.settings.markets[name].timeframe for name in names})
        return self._read(CANDLES, {"market": names, "timeframe": finest}, start, end)

    def bars(
        self, timeframe: str, market: Markets = None, *, start: Moment | None = None, end: Moment | None = None
    ) -> pl.DataFrame:
        """Bars of a timeframe, e.g. ``"15m"``."""
        table = BARS[Timeframe.parse(timeframe).name]
        return self._read(table, {"market": self._markets(market)}, start, end)

    def features(
        self,
        market: Markets = None,
        *,
        timeframe: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> pl.DataFrame:
        """Features of each bar, a column each; of all timeframes where none is named."""
        where = {"market": self._markets(market), **_only("timeframe", timeframe)}
        return self._read(FEATURES, where, start, end)

    def labels(
        self,
        market: Markets = None,
        *,
        label_set: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
    ) -> pl.DataFrame:
        """What happened after each bar, a row for each side; of all label sets where none is named."""
        if label_set is not None:
            check_known(label_set, self.settings.labels, "label set")
        where = {"market": self._markets(market), **_only("label_set", label_set)}
        return self._read(LABELS, where, start, end)

    def predictions(
        self, model: str, market: Markets = None, *, start: Moment | None = None, end: Moment | None = None
    ) -> pl.DataFrame:
        """What a model's walk-forward said out of sample; empty where it was never trained."""
        return self._of_model(PREDICTIONS, model, start, end).filter(pl.col("market").is_in(self._markets(market)))

    def folds(self, model: str) -> pl.DataFrame:
        """The windows of a model's walk-forward, and its scores in each of them."""
        return self._of_model(FOLDS, model, None, None)

    def trades(self, model: str, version: int | None = None) -> pl.DataFrame:
        """The trades of a version's backtest; by default of the newest that was traded."""
        return self._of_version(TRADES, model, version)

    def equity(self, model: str, version: int | None = None) -> pl.DataFrame:
        """The account of a version's backtest at each day's close."""
        return self._of_version(EQUITY, model, version)

    def metrics(self, model: str, version: int | None = None) -> dict[str, float]:
        """The metrics of a version's backtest, by name."""
        rows = self._of_version(BACKTEST_METRICS, model, version)
        return dict(zip(rows["metric"], rows["value"], strict=True))

    def _markets(self, market: Markets) -> list[str]:
        if market is None:
            return list(self.settings.markets)
        names = [market] if isinstance(market, str) else list(market)
        for name in names:
            check_known(name, self.settings.markets, "market")
        return names

    def _of_model(self, table: Table, model: str, start: Moment | None, end: Moment | None) -> pl.DataFrame:
        check_known(model, self.settings.models, "model")
        return self._read(table, {"model": model}, start, end)

    def _of_version(self, table: Table, model: str, version: int | None) -> pl.DataFrame:
        rows = self._of_model(table, model, None, None)
        return rows.filter(pl.col("version") == (pl.col("version").max() if version is None else version))

    def _read(
        self,
        table: Table,
        where: Mapping[str, str | int | Sequence[str]],
        start: Moment | None,
        end: Moment | None,
    ) -> pl.DataFrame:
        return self.store.read(table, where=where, start=moment(start), end=moment(end))


def _only(column: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {column: value}
