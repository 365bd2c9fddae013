"""What a backtest replays: its period, its candles, none that no trade can have made, and the steps of their prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import polars as pl

from trading_assets.backtest.simulation.slices import TICKS_PER_BAR, MarketRules
from trading_assets.core.candles import (
    OHLCV,
    PRICES,
    Market,
    require_columns,
    require_times,
    timeframe_delta,
)
from trading_assets.core.errors import InvalidFrame, MissingCandles, SettingsError
from trading_assets.core.precision import MAX_QUANTITY
from trading_assets.core.sides import Side
from trading_assets.exits.plan import ExitPlan
from trading_assets.settings import BacktestSettings, LabelSettings, RiskSettings
from trading_assets.settings.sections.exits import ExitSettings
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.stored_signals import barrier_percent, stakes_percent, with_side

_ROOM: Final = 1.25
"""Positions grow with the account; the engine's largest quantity must hold those of an account larger by so much."""


def window(candles: Mapping[str, pl.DataFrame], market: str, start: datetime, end: datetime) -> pl.DataFrame:
    """The candles of a market that open in ``[start, end)``.

    Raises
    ------
    MissingCandles
        If there are none.
    """
    frame = candles.get(market)
    cut = frame.filter(pl.col("ts").is_between(start, end, closed="left")) if frame is not None else pl.DataFrame()
    if cut.is_empty():
        raise MissingCandles(
            f"no candles from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}",
            where=market,
            remedy="materialize candles for these months",
        )
    return cut


def check_candles(candles: pl.DataFrame, market: str, *, volume: bool) -> None:
    """Refuse candles that would give wrong trades without a word.

    Parameters
    ----------
    candles
        ``ts`` and OHLCV of one market.
    volume
        Whether volume is looked at.

    Raises
    ------
    InvalidFrame
        If they are not in the order of time, a price is not a positive number, open or close is not between low and
        high, or the volume is not a number from 0 on.
    """
    columns = OHLCV if volume else PRICES
    if candles.is_empty():
        return
    require_columns(candles, ("ts", *OHLCV), where=market)
    require_times(candles, ("ts",), where=market)
    impossible = candles.filter(~_sound(columns).fill_null(value=False))
    if impossible.height:
        ts, *values = impossible.select("ts", *columns).row(0)
        said = ", ".join(
            f"{name} {'missing' if value is None else f'{value:.10g}'}"
            for name, value in zip(columns, values, strict=True)
        )
        raise InvalidFrame(
            f"{impossible.height:,} candles are impossible, first {ts:%Y-%m-%d %H:%M}: {said}",
            where=market,
            remedy="leave such candles out: a missing candle fills nothing",
        )
    if (candles["ts"].diff().dt.total_microseconds() <= 0).any():
        raise InvalidFrame("ts is not strictly ascending", where=market, remedy="sort the candles, each once")


def _sound(columns: tuple[str, ...]) -> pl.Expr:
    numbers = pl.all_horizontal(pl.col(name).cast(pl.Float64).is_finite() for name in columns)
    low = (pl.col("low") > 0) & (pl.col("low") <= pl.min_horizontal("open", "close"))
    sound = numbers & low & (pl.col("high") >= pl.max_horizontal("open", "close"))
    return sound & (pl.col("volume") >= 0) if "volume" in columns else sound


def period(
    predictions: pl.DataFrame,
    candles: Mapping[str, pl.DataFrame],
    timeframe: str,
    labels: LabelSettings,
    plan: ExitSettings | None = None,
) -> tuple[datetime, datetime]:
    """From the first prediction's bar to the end of the decision bar in which the last trade's horizon has passed.

    Where that bar is missing, to the end of the next one that has candles; in any case not beyond the candles.
    """
    start, known = predictions.select(pl.col("ts").min(), pl.col("known_at").max()).row(0)
    bar = labels.timeframe.length
    horizon = known + (labels.horizon if plan is None else plan.hold)
    filled = [frame["ts"] for frame in candles.values() if not frame.is_empty()]
    covered = max((ts[-1] for ts in filled), default=start) + timeframe_delta(timeframe)
    ends: list[list[datetime]] = [(ts.dt.truncate(bar) + bar).unique().sort().to_list() for ts in filled]
    last = max((next((end for end in bars if end > horizon), bars[-1]) for bars in ends), default=start)
    return start, max((end for bars in ends for end in bars if end <= min(last, covered)), default=start)


def wanted(predictions: pl.DataFrame, rule: EntryRule, labels: LabelSettings) -> pl.DataFrame:
    """The predictions that the rule enters on, the only ones that a trade can come of.

    A strategy that is told of these alone trades as if told of all: on every other bar it would have held. Most
    predictions are of that kind, and each would cost as much as an entry.
    """
    return predictions.filter(rule.entered(*stakes_percent(predictions, labels)))


def narrowest(predictions: pl.DataFrame, labels: LabelSettings, plan: ExitSettings | None, cost: float) -> float:
    """The higher price over the lower one of the stop and the target that are ever closest together in a trade.

    Parameters
    ----------
    predictions
        That may be traded; with ``unit`` where a plan is named.
    labels, plan
        The barriers, or the exit plan that takes their place.
    cost
        What break-even is beyond the entry price, as a fraction of it.
    """
    if plan is not None:
        unit = predictions["unit"].min()
        return 1.0 if unit is None else min(_narrowest_of(ExitPlan.of(plan, float(unit)), cost, side) for side in Side)  # type: ignore[arg-type]
    target, stop = (percent / 100 for percent in barrier_percent(labels))
    is_long = pl.col("side") == Side.LONG
    above, below = pl.when(is_long).then(target).otherwise(stop), pl.when(is_long).then(stop).otherwise(target)
    ratio: float = with_side(predictions).select(((1 + above) / (1 - below)).min()).item()
    return ratio


def _narrowest_of(plan: ExitPlan, cost: float, side: Side) -> float:
    """Of one trade, whatever becomes of it: its stop lies where it was first, at break-even, or behind the price."""
    ratios = [math.inf]
    for number, target in enumerate(plan.targets):
        stops = [-plan.stop]
        if (
            plan.break_even_after is not None and number >= plan.break_even_after - 1
        ):  # also in the candle that moves it
            stops.append(cost)
        if plan.trailing is not None:
            stops.append(target.distance - plan.trailing)
        for stop in stops:
            ends = sorted((1 + side * target.distance, 1 + side * stop))
            ratios.append(ends[1] / ends[0] if ends[0] > 0 else math.inf)
    return min(ratios)


def market_rules(market: str, candles: pl.DataFrame, settings: BacktestSettings, risk: RiskSettings) -> MarketRules:
    """The market's steps; refuses it where a position, with room for some profit, is more than a bar can fill."""
    notional = min(_ROOM * settings.starting_balance * settings.sizing.most, risk.max_position_notional)
    lowest = float(candles["low"].min())  # type: ignore[arg-type]
    quantity, limit = notional / lowest, MAX_QUANTITY / TICKS_PER_BAR
    if quantity > limit:
        raise SettingsError(
            f"{notional:,g} at a price of {lowest:.6g} are {quantity:.3g} coins; the engine holds {limit:.3g}",
            where=market,
            remedy="lower backtest.starting_balance or the largest share of trading.sizing, or use a market quoted in "
            "larger units",
        )
    try:
        return MarketRules.of(candles, capital=settings.starting_balance)
    except InvalidFrame as error:
        raise InvalidFrame(error.what, where=market, remedy=error.remedy) from None


def require_one_quote(markets: tuple[str, ...]) -> None:
    """Refuse markets that are not quoted in one currency: they share an account.

    Raises
    ------
    SettingsError
        If they are not.
    """
    quotes = {Market.parse(market).quote for market in markets}
    if len(quotes) > 1:
        raise SettingsError(
            f"markets quoted in {sorted(quotes)} cannot share one account",
            where="models",
            remedy="make one model per quote currency",
        )
