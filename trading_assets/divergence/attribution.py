"""What the gap between the node's trades and a backtest's consists of. Pure frames.

Three trades are held beside each other on each decision: the node's (*live*), the one that a backtest of the node's own
signals makes (*said*), and the one that a backtest of what the stored bars say makes (*stored*). From live to said it
is execution, from said to stored it is what was decided on. The parts are measured each by itself; what they leave of
the gap is ``unexplained_bps``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from trading_assets.core.candles import TS
from trading_assets.core.sides import Side
from trading_assets.store.tables import DIVERGENCE, Schema
from trading_assets.store.tables.outcomes import PARTS

KEY: Final = ("model", "market", "side", "ts")
"""Names a trade: at most one of a model, market and side is decided at an instant."""

MADE: Final[Schema] = {
    "model": pl.String,
    "market": pl.String,
    "side": pl.String,
    "ts": TS,
    "entry_ts": TS,
    "exit_ts": TS,
    "entry_price": pl.Float64,
    "exit_price": pl.Float64,
    "quantity": pl.Float64,
    "ordered": pl.Float64,
    "fees": pl.Float64,
    "slippage_fees": pl.Float64,
    "funding": pl.Float64,
    "exit_reason": pl.String,
    "targets_filled": pl.Int32,
}
"""A trade as it is compared: ``ts`` is when it was decided, ``slippage_fees`` what of the fees stands for slippage."""

LIVE: Final[Schema] = {**MADE, "filled_by": pl.String}

DECISIONS: Final[Schema] = {
    "model": pl.String,
    "market": pl.String,
    "ts": TS,
    "signal_ts": TS,
    "model_version": pl.Int32,
    "changed": pl.String,
    "refused": pl.Boolean,
    "reason": pl.String,
}
"""A decision of the node: ``changed`` is ``data`` or ``features`` where what is stored says something else, and why."""

CANDLES: Final[Schema] = {
    "market": pl.String,
    "ts": TS,
    "end": TS,
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
}

AT_LEVELS: Final = ("take_profit", "stop_loss", "break_even")
"""Exits at a distance from the entry: another entry price moves them with it."""

RESTING: Final = (*AT_LEVELS, "trailing")
"""Exits by an order that waits for its price: they are early or late by the price alone."""

FORCED: Final = ("halted", "kill", "close_only", "by_hand", "unprotected", "lost", "liquidation")
"""Exits that no plan foresaw."""

_BPS: Final = 1e4
_INSTANT: Final = pl.duration(microseconds=1)
_NOTHING: Final = pl.lit(0.0)


def attribute(
    live: pl.DataFrame, said: pl.DataFrame, stored: pl.DataFrame, candles: pl.DataFrame, decisions: pl.DataFrame
) -> pl.DataFrame:
    """One row for each trade that the node or the backtest made, by ``ts``.

    Parameters
    ----------
    live
        The node's closed trades: columns of :data:`LIVE`.
    said
        Of a backtest of the node's own signals: :data:`MADE`.
    stored
        Of a backtest of what the stored rows say; the same frame where nothing was decided on other numbers.
    candles
        The finest stored ones of the time: :data:`CANDLES`. Inside one the price is taken to go straight from open to
        close, which is what is to be expected of a random walk between the two.
    decisions
        Of the node, at most one of a model, market and ``ts``: :data:`DECISIONS`.

    Returns
    -------
    pl.DataFrame
        The table ``divergence`` without ``node``.
    """
    rows = _beside(live, said, stored)
    rows = _with_changes(rows, decisions)
    for name in ("live_entry_ts", "said_entry_ts", "live_exit_ts", "said_exit_ts"):
        rows = _with_price(rows, name, candles)
    rows = _with_range(rows, candles)
    parts = rows.with_columns(**_ways()).with_columns(**_parts())
    gap = (pl.col("live_bps") - pl.col("backtest_bps")).alias("gap_bps")
    found = parts.with_columns(gap).with_columns(
        unexplained_bps=pl.col("gap_bps") - pl.sum_horizontal(name for name in PARTS if name != "unexplained_bps")
    )
    return found.sort("ts", "market", "model", "side").select(name for name in DIVERGENCE.columns if name != "node")


# -- side by side -----------------------------------------------------------------------------------------------------


def _beside(live: pl.DataFrame, said: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The three trades of each decision in one row, prefixed; what one of them did not make is null."""
    rows = _prefixed(live, "live", LIVE)
    for frame, prefix in ((said, "said"), (stored, "stored")):
        rows = rows.join(_prefixed(frame, prefix, MADE), on=KEY, how="full", coalesce=True, nulls_equal=True)
    return rows.filter(pl.col("live_return").is_not_null() | pl.col("stored_return").is_not_null()).sort("ts")


def _prefixed(frame: pl.DataFrame, prefix: str, schema: Schema) -> pl.DataFrame:
    notional = pl.col("entry_price") * pl.col("quantity")
    sign = pl.col("side").replace_strict({side.word: float(side) for side in Side}, return_dtype=pl.Float64)
    gross = sign * (pl.col("exit_price") / pl.col("entry_price") - 1)
    slip, funded = pl.col("slippage_fees") / notional, pl.col("funding").fill_null(0.0) / notional
    fee = pl.col("fees") / notional - slip
    made = frame.select(*schema).with_columns(
        sign=sign, notional=notional, fee=fee, slip=slip, funded=funded, **{"return": gross - fee - slip + funded}
    )
    return made.rename({name: f"{prefix}_{name}" for name in made.columns if name not in KEY})


def _with_changes(rows: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """What was decided on each bar, and the newest decision up to it that the stored rows make otherwise."""
    known = ["model", "market", "ts"]
    told = decisions.select(*known, "signal_ts", "model_version", "refused", "reason")
    changed = decisions.filter(pl.col("changed").is_not_null()).select(*known, "changed").sort("ts")
    rows = rows.join(told, on=known, how="left").sort("ts")
    return rows.join_asof(changed, on="ts", by=["model", "market"], strategy="backward", check_sortedness=False)


def _with_price(rows: pl.DataFrame, name: str, candles: pl.DataFrame) -> pl.DataFrame:
    """The market's price at an instant, as ``<name>_price``; null before the first candle, or where no instant is."""
    share = ((pl.col("at") - pl.col("ts")) / (pl.col("end") - pl.col("ts"))).clip(0.0, 1.0)
    points = rows.select("market", at=name).drop_nulls().unique().sort("at")
    priced = points.join_asof(
        candles.select("market", "ts", "end", "open", "close").sort("ts"),
        left_on="at",
        right_on="ts",
        by="market",
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    ).select("market", at="at", price=pl.col("open") + (pl.col("close") - pl.col("open")) * share)
    named = priced.rename({"at": name, "price": f"{name}_price"})
    return rows.join(named, on=["market", name], how="left", maintain_order="left")


def _with_range(rows: pl.DataFrame, candles: pl.DataFrame) -> pl.DataFrame:
    """Low and high of the candles that the node's exit falls into: at the end of one that is two; null where missing.

    ``candle`` is the length of the later one.
    """
    points = rows.select("market", at="live_exit_ts").drop_nulls().unique()
    both = pl.concat([points.with_columns(of="at"), points.with_columns(of=pl.col("at") - _INSTANT)]).sort("of")
    found = (
        both.join_asof(
            candles.select(*CANDLES).sort("ts"),
            left_on="of",
            right_on="ts",
            by="market",
            strategy="backward",
            coalesce=False,
            check_sortedness=False,
        )
        .filter(pl.col("of") <= pl.col("end"))
        .group_by("market", "at")
        .agg(pl.col("low").min(), pl.col("high").max(), candle=(pl.col("end") - pl.col("ts")).max())
        .rename({"at": "live_exit_ts"})
    )
    return rows.join(found, on=["market", "live_exit_ts"], how="left", maintain_order="left")


# -- the parts --------------------------------------------------------------------------------------------------------


def _ways() -> dict[str, pl.Expr]:
    """From the backtest's prices to the node's, step by step, as fractions of the notional: only where both traded."""
    sign, entry, exit_ = pl.col("live_sign"), pl.col("live_entry_price"), pl.col("live_exit_price")
    assumed_entry, assumed_exit = pl.col("said_entry_price"), pl.col("said_exit_price")
    moved = _moved("entry_ts")
    between = pl.when(assumed_entry + moved > 0).then(assumed_entry + moved).otherwise(assumed_entry)
    reason, assumed_reason = pl.col("live_exit_reason"), pl.col("said_exit_reason")
    same = (reason == assumed_reason) & pl.col("live_targets_filled").eq_missing(pl.col("said_targets_filled"))
    at_level = same & reason.is_in(AT_LEVELS)
    with_entry = assumed_exit * entry / assumed_entry
    later = pl.when(same & reason.is_in(RESTING)).then(_NOTHING).otherwise(_moved("exit_ts"))
    outside = ~exit_.is_between(pl.col("low"), pl.col("high"))
    one_candle = (pl.col("live_exit_ts") - pl.col("said_exit_ts")).abs() <= pl.col("candle")
    return {
        "late_in": sign * assumed_exit * (1 / between - 1 / assumed_entry),
        "worse_in": sign * assumed_exit * (1 / entry - 1 / between),
        "followed": at_level & ((exit_ - with_entry).abs() < (exit_ - assumed_exit).abs()),
        "out_after": sign * (exit_ - with_entry) / entry,
        "late_out": sign * later / entry,
        "worse_out": sign * (exit_ - assumed_exit - later) / entry,
        "out": sign * (exit_ - assumed_exit) / entry,
        "same": same,
        "forced": reason.is_in(FORCED) | assumed_reason.is_in(FORCED),
        "not_in_candles": outside.fill_null(value=True) | one_candle.fill_null(value=False),
    }


def _moved(name: str) -> pl.Expr:
    """How far the price moved from the backtest's instant to the node's."""
    return (pl.col(f"live_{name}_price") - pl.col(f"said_{name}_price")).fill_null(0.0)


def _parts() -> dict[str, pl.Expr]:
    """Columns of the table; all parts but the unexplained one."""
    has_live, has_said = pl.col("live_return").is_not_null(), pl.col("said_return").is_not_null()
    both = has_live & has_said
    share = (pl.col("live_quantity") / pl.col("live_ordered")).fill_null(1.0)
    ordered = share * pl.col("live_return")
    said, stored = (pl.col(f"{name}_return").fill_null(0.0) for name in ("said", "stored"))
    other_way = ~pl.col("same") & ~pl.col("forced")
    by_entry = other_way & ~pl.col("not_in_candles")
    pace = pl.col("late_in").abs() + pl.col("worse_in").abs()
    late_share = pl.when(pace > 0).then(pl.col("late_in").abs() / pace).otherwise(_NOTHING)
    worse_share = pl.when(pace > 0).then(pl.col("worse_in").abs() / pace).otherwise(_NOTHING)
    out, entered = pl.col("out"), ~pl.col("followed")
    late = _if(entered, "late_in") + _if(pl.col("same") & entered, "late_out") + _if(by_entry, out * late_share)
    worse = (
        _if(entered, "worse_in")
        + _if(pl.col("followed"), "out_after")
        + _if(pl.col("same") & entered, "worse_out")
        + _if(by_entry, out * worse_share)
        + pl.col("said_slip")
        - pl.col("live_slip")
    )
    refused = has_said & ~has_live & pl.col("refused").fill_null(value=False)
    missed = pl.when(both).then(_NOTHING).otherwise(ordered.fill_null(0.0) - said)
    decided = said - stored
    return {
        "live_bps": _BPS * ordered.fill_null(0.0),
        "backtest_bps": _BPS * stored,
        "data_bps": _BPS * (_if(pl.col("changed") == "data", decided) + _where(both & other_way & ~by_entry, out)),
        "features_bps": _BPS * _if(pl.col("changed") == "features", decided),
        "latency_bps": _BPS * _where(both, late),
        "fill_price_bps": _BPS * _where(both, worse),
        "partial_fills_bps": _BPS * _where(both, (share - 1) * pl.col("live_return")),
        "fees_bps": _BPS * _where(both, pl.col("said_fee") - pl.col("live_fee")),
        "funding_bps": _BPS * _where(both, pl.col("live_funded") - pl.col("said_funded")),
        "missed_bps": _BPS * _if(~refused, missed),
        "protections_bps": _BPS * (_if(refused, missed) + _where(both & ~pl.col("same") & pl.col("forced"), out)),
        "live_pnl": pl.col("live_return") * pl.col("live_notional"),
        "notional": pl.col("live_notional"),
        "filled_by": pl.col("live_filled_by"),
        "entry_delay_s": (pl.col("live_entry_ts") - pl.col("said_entry_ts")).dt.total_microseconds() / 1e6,
        "live_exit": pl.col("live_exit_reason"),
        "backtest_exit": pl.col("stored_exit_reason"),
        "note": pl.when(has_live & pl.col("stored_return").is_not_null()).then(pl.lit("")).otherwise(_why(has_live)),
    }


def _why(has_live: pl.Expr) -> pl.Expr:
    """Why one of the two made no trade."""
    silent = pl.lit("the node made no decision on the bar")
    other = pl.format("what is stored decides otherwise ({})", "changed")
    return (
        pl.when(has_live)
        .then(pl.coalesce(other, pl.lit("the backtest did not enter")))
        .otherwise(pl.coalesce("reason", silent))
    )


def _if(condition: pl.Expr, value: pl.Expr | str) -> pl.Expr:
    return pl.when(condition).then(pl.col(value) if isinstance(value, str) else value).otherwise(_NOTHING)


def _where(condition: pl.Expr, value: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(value).otherwise(_NOTHING).fill_null(0.0)
