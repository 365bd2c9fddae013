"""Which extreme of a candle came first, where nobody knows: against the trade that is open then, or for it.

A candle that touches stop and target of a trade says nothing of their order; the labels' policy does. In the worst case
a long trade meets the low first and a short one the high. So the order depends on the side that is open, and that on
the trades before: where a strategy trades both sides, the order is guessed from its signals, and the run is repeated
with what the trades say until no trade met such a candle the other way round. A repetition leaves everything before the
first such candle as it was, so there is an end to it; mostly the guess is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.sides import Side
from trading_assets.store.tables import Schema
from trading_assets.strategies.entry_rule import EntryRule
from trading_assets.strategies.plans.plan import TradePlan

_TRADED: Final[Schema] = {
    "market": pl.String,
    "known_at": TS,
    "until": TS,
    "side": pl.Int8,
    "lower": pl.Float64,
    "upper": pl.Float64,
}


def wanted_sides(predictions: pl.DataFrame, rule: EntryRule, barriers: tuple[pl.Expr, pl.Expr]) -> pl.DataFrame:
    """``market``, ``known_at`` and ``side`` of the predictions that an entry may follow, ascending.

    Parameters
    ----------
    predictions
        With ``side``.
    rule
        Of entry.
    barriers
        Take-profit and stop-loss in percent.
    """
    said = pl.col("probability")
    entered = predictions.filter(rule.entered(*barriers))
    better = entered.sort("known_at", rule.edge_bps(said, *barriers))
    return better.unique(["market", "known_at"], keep="last", maintain_order=True).select("market", "known_at", "side")


def traded_sides(plans: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """The trades of a run: ``market``, ``known_at``, ``until``, ``side`` and the prices between which each was open.

    Parameters
    ----------
    plans
        The journal's events of this kind.
    """
    newest = {row["signal_id"]: row for row in plans}
    ended = [(row["ts"], TradePlan.from_json(row["plan"])) for row in newest.values()]
    rows = [(plan.market, plan.known_at, ts, plan.side.value, *_between(plan)) for ts, plan in ended]
    return pl.DataFrame(rows, schema=_TRADED, orient="row").sort("known_at")


def low_first(candles: pl.DataFrame, market: str, sides: pl.DataFrame, *, worst_case: bool) -> pl.Series:
    """Whether each candle of a market goes to its low before its high.

    Parameters
    ----------
    candles
        ``ts``, ascending.
    sides
        Of :func:`wanted_sides` or :func:`traded_sides`.
    worst_case
        Whether the stop of what is open comes first, else the target.
    """
    is_long = _governing(candles, market, sides.select("market", "known_at", "side"))["side"].fill_null(1) > 0
    return is_long if worst_case else ~is_long


def undecided(candles: pl.DataFrame, market: str, trades: pl.DataFrame, used: pl.Series, *, worst_case: bool) -> bool:
    """Whether a trade met a candle with both of its barriers in the wrong order.

    Parameters
    ----------
    candles
        ``ts``, ``low`` and ``high`` of a market, ascending.
    trades
        Of :func:`traded_sides`, from the run that was made.
    used
        Of :func:`low_first`: the order in that run.
    """
    met = _governing(candles, market, trades).with_columns(used=used)
    both = (pl.col("low") <= pl.col("lower")) & (pl.col("high") >= pl.col("upper"))
    wrong = ((pl.col("side") > 0) == worst_case) != pl.col("used")
    return not met.filter((pl.col("ts") <= pl.col("until")) & both & wrong).is_empty()


def _between(plan: TradePlan) -> tuple[float, float]:
    """The stop where it lay last and the nearest target: what a candle must reach beyond to touch both, or more."""
    if not plan.targets:
        return 0.0, 0.0
    lower, upper = sorted((plan.stop_price, plan.targets[0].price))
    return lower, upper


def is_mixed(predictions: pl.DataFrame) -> bool:
    """Whether predictions are of both sides."""
    return predictions["side"].n_unique() > 1


def only_side(predictions: pl.DataFrame) -> Side:
    """The side of predictions that are of one."""
    return Side(predictions["side"][0])


def _governing(candles: pl.DataFrame, market: str, sides: pl.DataFrame) -> pl.DataFrame:
    """Each candle with the newest of a market's sides that was known when it opened."""
    mine = sides.filter(pl.col("market") == market).drop("market")
    return candles.join_asof(mine, left_on="ts", right_on="known_at", strategy="backward")
