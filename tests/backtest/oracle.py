"""The same trading, written a second time as a plain loop over candles: what the engine is checked against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil, floor

import polars as pl

from tests.backtest.worlds import START
from trading_assets.settings import BacktestSettings, LabelSettings


@dataclass
class Trade:
    market: str
    signal_ts: datetime
    entry_ts: datetime
    entry_price: float
    quantity: float
    expires_at: datetime
    side: int = 1
    exit_price: float = 0.0
    exit_reason: str = ""
    fees: float = 0.0

    @property
    def pnl(self) -> float:
        return self.side * (self.exit_price - self.entry_price) * self.quantity - self.fees


def simulate(
    predictions: pl.DataFrame,
    market: str,
    candles: pl.DataFrame,
    *,
    threshold: float,
    labels: LabelSettings,
    settings: BacktestSettings,
    lot: float,
) -> list[Trade]:
    """Trade one market: decide where a bar has ended, act at the open of the next candle.

    With predictions of both sides the more probable one is taken: their barriers are alike.
    """
    if "side" not in predictions.columns:
        predictions = predictions.with_columns(side=pl.lit(1))
    wanted = predictions.filter((pl.col("market") == market) & (pl.col("probability") >= threshold))
    better = wanted.sort("probability").group_by("ts", maintain_order=True).last()
    length = labels.timeframe.length
    start, end = _period(predictions, candles, labels)
    desk = Desk(market, dict(better.select("ts", "side").rows()), end, labels, settings, lot, settings.starting_balance)
    previous: tuple[datetime, float] | None = None
    for ts, opened, high, low, closed, _ in candles.filter(pl.col("ts").is_between(start, end, closed="left")).rows():
        if previous is not None and _bar(previous[0], length) != _bar(ts, length):
            desk.decide(_bar(previous[0], length), previous[1])
        desk.resolve(opened, opened, opened)  # stop and target rest until the cancel has arrived
        desk.act(ts, opened)
        desk.resolve(opened, high, low)
        previous = (ts, closed)
    if previous is not None:
        desk.decide(_bar(previous[0], length), previous[1])
        if desk.trade is not None:
            desk.close(previous[1], desk.decision if desk.decision == "time" else "end", settings.taker_fee_bps)
    return desk.trades


@dataclass
class Desk:
    market: str
    wanted: dict[datetime, int]
    end: datetime
    labels: LabelSettings
    settings: BacktestSettings
    lot: float
    equity: float
    trades: list[Trade] = field(default_factory=list)
    trade: Trade | None = None
    decision: str = ""
    decided_on: tuple[datetime, float] | None = None

    def decide(self, bar: datetime, last: float) -> None:
        now = bar + self.labels.timeframe.length
        if self.trade is not None and now >= self.trade.expires_at:
            self.decision = "time"
        elif now >= self.end:
            self.decision = "end"
        elif self.trade is None and bar in self.wanted:
            self.decision, self.decided_on = "enter", (bar, last)

    def act(self, ts: datetime, price: float) -> None:
        if self.decision == "time" and self.trade is not None:
            self.close(price, "time", self.settings.taker_fee_bps)
        elif self.decision == "enter" and self.decided_on is not None:
            bar, last = self.decided_on
            quantity = floor(self.settings.sizing.most * self.equity / last / self.lot + 1e-9) * self.lot
            expires = bar + self.labels.timeframe.length * (self.labels.horizon_bars + 1)
            fee = price * quantity * self.settings.taker_fee_bps / 1e4
            self.trade = Trade(self.market, bar, ts, price, quantity, expires, self.wanted[bar], fees=fee)
        self.decision = ""

    def resolve(self, opened: float, high: float, low: float) -> None:
        if self.trade is None:
            return
        side, entry = self.trade.side, self.trade.entry_price
        widths = (self.labels.stop_loss_pct, self.labels.take_profit_pct)
        below, above = widths if side > 0 else widths[::-1]
        lower, upper = floor(entry * (100 - below) + 1e-7) / 100, ceil(entry * (100 + above) - 1e-7) / 100
        stop, target = (lower, upper) if side > 0 else (upper, lower)
        against, along = (low, high) if side > 0 else (high, low)
        if side * (opened - stop) <= 0:
            self.close(opened, "stop_loss", self.settings.taker_fee_bps)
        elif side * (opened - target) >= 0:
            self.close(target, "take_profit", self.settings.maker_fee_bps)
        elif side * (against - stop) <= 0:
            self.close(stop, "stop_loss", self.settings.taker_fee_bps)
        elif side * (along - target) >= 0:
            self.close(target, "take_profit", self.settings.maker_fee_bps)

    def close(self, price: float, reason: str, fee_bps: float) -> None:
        assert self.trade is not None
        self.trade.exit_price, self.trade.exit_reason = price, reason
        self.trade.fees += price * self.trade.quantity * fee_bps / 1e4
        self.equity += self.trade.pnl
        self.trades.append(self.trade)
        self.trade = None


def _bar(ts: datetime, length: timedelta) -> datetime:
    return ts - (ts - START) % length


def _period(predictions: pl.DataFrame, candles: pl.DataFrame, labels: LabelSettings) -> tuple[datetime, datetime]:
    known: datetime = predictions["known_at"].max()  # type: ignore[assignment]
    start: datetime = predictions["ts"].min()  # type: ignore[assignment]
    length = labels.timeframe.length
    horizon = known + labels.horizon_bars * length
    ends = sorted({_bar(ts, length) + length for ts in candles["ts"]})
    last = next((end for end in ends if end > horizon), ends[-1])
    covered = candles["ts"][-1] + timedelta(minutes=1)
    return start, max(end for end in ends if end <= min(last, covered))
