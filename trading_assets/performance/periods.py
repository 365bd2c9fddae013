"""How the account did by day, week, month and in all. Pure frames; the figures are those of a backtest."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.backtest.metrics import daily_returns, max_drawdown, profit_factor, sharpe
from trading_assets.core.candles import TS
from trading_assets.store.tables import PERFORMANCE, Schema

PERIODS: Final = ("day", "week", "month", "all")
"""UTC; a week begins on Monday."""

_EVERY: Final = {"day": "1d", "week": "1w", "month": "1mo"}
_DAY: Final = timedelta(days=1)
_CURVE: Final[Schema] = {"ts": TS, "equity": pl.Float64}


def curve_of(minutes: pl.DataFrame, trades: pl.DataFrame, *, starting_balance: float) -> tuple[float, pl.DataFrame]:
    """What the account began with, and what it was worth over time: ``ts``, ``equity``, ascending.

    Where the node journalled nothing, as a version before it did, it is what closed trades made.

    Parameters
    ----------
    minutes
        Rows of ``account_equity`` of one node; of several currencies that of the most rows counts.
    trades
        Rows of ``live_trades`` of the node.
    starting_balance
        Of a node that journalled no equity.
    """
    closed = trades.sort("exit_ts").select("pnl", ts="exit_ts")
    if minutes.is_empty():
        told, start = pl.DataFrame(schema=_CURVE), starting_balance
    else:
        code = minutes["currency"].mode().sort()[0]
        told = minutes.filter(pl.col("currency").eq_missing(code)).sort("ts", "seq").select(*_CURVE)
        first, last = told["ts"][0], told["ts"][-1]
        before, after = closed.filter(pl.col("ts") < first), closed.filter(pl.col("ts") > last)
        start, end = float(told["equity"][0]) - float(before["pnl"].sum()), float(told["equity"][-1])
        told = pl.concat([told, after.select("ts", equity=pl.col("pnl").cum_sum() + end)])
        closed = before
    earlier = closed.select("ts", equity=pl.col("pnl").cum_sum() + start)
    return start, pl.concat([earlier, told]).unique("ts", keep="last", maintain_order=True)


def daily_curve(curve: pl.DataFrame, *, start: float) -> pl.DataFrame:
    """The account at the end of each UTC day from the first to the last of a curve, a row a day.

    Parameters
    ----------
    curve
        ``ts``, ``equity``, ascending.
    start
        Before the first row.
    """
    if curve.is_empty():
        return pl.DataFrame(schema=_CURVE)
    closes = curve.group_by_dynamic("ts", every="1d").agg(pl.col("equity").last())
    return (
        closes.upsample("ts", every="1d").with_columns(pl.col("equity").forward_fill().fill_null(start)).select(*_CURVE)
    )


def by_period(trades: pl.DataFrame, minutes: pl.DataFrame, *, node: str, starting_balance: float) -> pl.DataFrame:
    """Rows of the table ``performance`` of one node: every day, week and month since its first, and all of it.

    Parameters
    ----------
    trades, minutes
        Rows of ``live_trades`` and ``account_equity`` of the node.
    starting_balance
        What it began with, where it journalled no equity.
    """
    start, curve = curve_of(minutes, trades, starting_balance=starting_balance)
    return of_curve(trades, start, curve, node=node)


def of_curve(trades: pl.DataFrame, start: float, curve: pl.DataFrame, *, node: str) -> pl.DataFrame:
    """As :func:`by_period`, of an account whose curve is known.

    Parameters
    ----------
    trades
        Rows of ``live_trades``.
    start, curve
        What the account began with, and what it was worth over time, as :func:`curve_of` gives them.
    """
    days = daily_curve(curve, start=start)
    if days.is_empty():
        return pl.DataFrame(schema=PERFORMANCE.columns)
    days = days.with_columns(before=pl.col("equity").shift(1).fill_null(start))
    rows = []
    for period in PERIODS:
        begin = pl.col("ts").min() if period == "all" else pl.col("ts").dt.truncate(_EVERY[period])
        for (first,), mine in days.group_by(begin.alias("begin"), maintain_order=True):
            assert isinstance(first, datetime)
            rows.append({"node": node, "period": period, "ts": first, **_account(mine, curve), **_trades(mine, trades)})
    return pl.DataFrame(rows, schema=PERFORMANCE.columns)


def _account(days: pl.DataFrame, curve: pl.DataFrame) -> dict[str, Any]:
    begin, end, before = days["ts"][0], days["ts"][-1] + _DAY, float(days["before"][0])
    returns = daily_returns(days["equity"].to_list(), before)
    inside = curve.filter(pl.col("ts").is_between(begin, end, closed="left"))["equity"].to_list()
    return {
        "end": end,
        "start_equity": before,
        "end_equity": float(days["equity"][-1]),
        "return": float(days["equity"][-1]) / before - 1 if before > 0 else None,
        "sharpe": sharpe(returns) if returns.size > 1 else None,
        "max_drawdown": max_drawdown(inside, before) if before > 0 else None,
    }


def _trades(days: pl.DataFrame, trades: pl.DataFrame) -> dict[str, Any]:
    mine = trades.filter(pl.col("exit_ts").is_between(days["ts"][0], days["ts"][-1] + _DAY, closed="left"))
    pnl = mine["pnl"].to_numpy()
    return {
        "trades": mine.height,
        "won": int((pnl > 0).sum()),
        "win_rate": float((pnl > 0).mean()) if mine.height else None,
        "pnl": float(pnl.sum()),
        "fees": float(mine["fees"].sum()),
        "funding": float(mine["funding"].sum()),
        "profit_factor": profit_factor(pnl) if mine.height else None,
        "slippage_bps": mine["slippage_bps"].mean(),
        "duration_s": mine["duration_s"].mean(),
        "fees_unvalued": int((mine["fees_unvalued"].fill_null("") != "").sum()),
    }
