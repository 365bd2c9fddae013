"""What was set apart: counted, explained, and released where the user knows better than the rule.

A released row becomes a candle. Its high and low are widened where they do not enclose open and close, so that every
candle keeps that rule; the row itself stays in quarantine as it came, with who released it, when and why. The decision
outlasts further fetches: when the source gives the same row again, it is a candle again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import polars as pl

from trading_assets.core.candles import CANDLE_COLUMNS, timeframe_delta
from trading_assets.core.errors import SourceError
from trading_assets.sources.ingest.candle_validation import BAD_COLUMNS, RULES
from trading_assets.store.contract import Store
from trading_assets.store.tables import CANDLES, CANDLES_QUARANTINE

RELEASABLE: Final = ("high_too_low", "low_too_high", "conflicting_duplicate", "outside_window")
"""Reasons that a user may overrule: such a row can be a candle. The others leave no value, or no bar, to store."""

REMEDIES: Final[dict[str, str]] = {
    "missing_value": "trading backfill --again fetches the month anew; a value that stays empty cannot be made up",
    "not_finite": "trading backfill --again fetches the month anew; a number that is none cannot be stored",
    "non_positive_price": "trading backfill --again fetches the month anew; no market trades at such a price",
    "high_too_low": "release it if open and close are right: the high is raised to enclose them",
    "low_too_high": "release it if open and close are right: the low is lowered to enclose them",
    "negative_volume": "trading backfill --again fetches the month anew; see whether the source signs volume by side",
    "off_grid": "complete the files that it came from, or see whether the market's timeframe is that of its source",
    "outside_window": "release it, or fetch the window that it belongs to",
    "not_closed": "fetch again: the whole bar is there once it has ended; if many bars are, see this machine's clock",
    "conflicting_duplicate": "compare with another exchange and release the right one by its row",
}
"""Reason -> what to do about it."""


@dataclass(frozen=True, slots=True)
class Release:
    """What a release did.

    Attributes
    ----------
    released
        Rows that became candles now.
    before
        Rows that had been released before; they are left alone.
    spans
        Market -> open of its first and its last released bar, now or before: what rests on these candles must run
        again.
    """

    released: int
    before: int
    spans: dict[str, tuple[datetime, datetime]]


def counts(store: Store) -> pl.DataFrame:
    """Rows in quarantine by market, timeframe, month and reason: ``waiting`` and ``released``."""
    return store.query("""
        SELECT
            market,
            timeframe,
            strftime(ts, '%Y-%m') AS month,
            reason,
            CAST(sum(CASE WHEN released_at IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS waiting,
            CAST(sum(CASE WHEN released_at IS NULL THEN 0 ELSE 1 END) AS BIGINT) AS released
        FROM candles_quarantine
        GROUP BY market, timeframe, strftime(ts, '%Y-%m'), reason
        ORDER BY market, timeframe, month, reason
    """)


def select(
    store: Store,
    *,
    market: str | None = None,
    reason: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    row: str | None = None,
) -> pl.DataFrame:
    """Rows of ``candles_quarantine`` by market, one of their reasons, window, and the beginning of :func:`row_id`."""
    where = None if market is None else {"market": market}
    rows = store.read(CANDLES_QUARANTINE, where=where, start=start, end=end)
    if reason is not None:
        rows = rows.filter(pl.col("reason").str.split(",").list.contains(reason))
    if row is not None:
        wanted = [row_id(value).startswith(row.lower()) for value in rows["row_hash"]]
        rows = rows.filter(pl.Series(wanted, dtype=pl.Boolean))
    return rows


def row_id(row_hash: int) -> str:
    """A row's hash as people read and type it: 16 hexadecimal digits, the first few usually suffice."""
    return f"{row_hash:016x}"


def around(store: Store, row: Mapping[str, Any], *, bars: int) -> pl.DataFrame:
    """The stored candles next to a quarantined row: up to ``bars`` before its time and after it, and at it."""
    where = {"market": row["market"], "timeframe": row["timeframe"]}
    before = store.tail(CANDLES, where=where, before=row["ts"], rows=bars)
    reach = timeframe_delta(row["timeframe"]) * (bars + 60)
    after = store.read(CANDLES, where=where, start=row["ts"], end=row["ts"] + reach)
    return pl.concat([before, after.head(bars + int(bool((after["ts"] == row["ts"]).any())))])


def explain(row: Mapping[str, Any], rivals: pl.DataFrame | None = None) -> list[str]:
    """Which rules a quarantined row broke, and which of its values broke them: one sentence each.

    Parameters
    ----------
    row
        A row of ``candles_quarantine``.
    rivals
        The other rows of the same market and time, for a conflict.
    """
    return [f"{name}: {RULES[name]}: {_broken(name, row, rivals)}" for name in row["reason"].split(",")]


def _broken(name: str, row: Mapping[str, Any], rivals: pl.DataFrame | None) -> str:
    prices = {column: row[column] for column in ("open", "high", "low", "close")}
    values = {**prices, "volume": row["volume"]}
    length = timeframe_delta(row["timeframe"])
    match name:
        case "missing_value":
            return _listed(column for column, value in values.items() if value is None) + " is empty"
        case "not_finite":
            bad = (f"{column} is {value}" for column, value in values.items() if value is not None)
            return _listed(text for text in bad if text.split(" is ")[1] in ("nan", "inf", "-inf"))
        case "non_positive_price":
            return _listed(f"{c} is {value:g}" for c, value in prices.items() if value is not None and value <= 0)
        case "high_too_low":
            above = (f"{c} {value:.12g}" for c, value in prices.items() if value > row["high"])
            return f"high {row['high']:.12g} is below {_listed(above)}"
        case "low_too_high":
            below = (f"{c} {prices[c]:.12g}" for c in ("open", "close") if prices[c] < row["low"])
            return f"low {row['low']:.12g} is above {_listed(below)}"
        case "negative_volume":
            return f"volume is {row['volume']:.12g}"
        case "off_grid":
            off = timedelta(seconds=row["ts"].timestamp() % length.total_seconds())
            return f"it opens {off.total_seconds():g} s after a multiple of {row['timeframe']}"
        case "outside_window":
            return f"it opens at {row['ts']:%Y-%m-%d %H:%M:%S}"
        case "not_closed":
            ahead = (row["ts"] + length - row["seen_at"]).total_seconds()
            return f"the bar ends at {row['ts'] + length:%H:%M:%S}, {ahead:.1f} s after it was fetched"
    others = [] if rivals is None else [other for other in rivals.to_dicts() if other["row_hash"] != row["row_hash"]]
    differences = (
        f"{column} {values[column]} against {other[column]}"
        for other in others
        for column in values
        if values[column] != other[column]
    )
    return _listed(differences) or "its rival is no longer here"


def _listed(parts: Any) -> str:
    return ", ".join(parts)


def release(store: Store, rows: pl.DataFrame, *, by: str, note: str, now: datetime) -> Release:
    """Make quarantined rows candles, in one transaction with the record of who did so, when and why.

    Doing it again changes nothing.

    Parameters
    ----------
    rows
        Rows of ``candles_quarantine``.
    by, note
        Who releases them, and why.
    now
        The present time.

    Raises
    ------
    SourceError
        If a row cannot be a candle, if two of the rows claim the same time, or if a candle is stored there already.
    """
    done = rows["released_at"].is_not_null()
    waiting = rows.filter(~done)
    _check(store, waiting)
    stamped = waiting.with_columns(
        released_at=pl.lit(now).dt.cast_time_unit("us"), released_by=pl.lit(by), note=pl.lit(note)
    )
    if waiting.height:
        store.upsert_together([(CANDLES, as_candles(waiting)), (CANDLES_QUARANTINE, stamped)])
    spans = rows.group_by("market").agg(pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last"))
    return Release(
        waiting.height, int(done.sum()), {market: (first, last) for market, first, last in spans.sort("market").rows()}
    )


def accept_released(store: Store, good: pl.DataFrame, bad: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Move fetched rows that broke a rule, but that a user has released, to the good ones.

    Parameters
    ----------
    good, bad
        What :func:`~trading_assets.sources.ingest.candle_validation.split_valid` gave, of one market and timeframe.

    Returns
    -------
    tuple of DataFrame
        The same, without the released rows among the bad. A good row of the same time wins over a released one.
    """
    if bad.is_empty():
        return good, bad
    where = {"market": bad["market"][0], "timeframe": bad["timeframe"][0]}
    first, last = bad["ts"].min(), bad["ts"].max()
    assert isinstance(first, datetime)
    assert isinstance(last, datetime)
    wanted = ["ts", "row_hash", "released_at"]
    end = last + timedelta(microseconds=1)
    known = store.read(CANDLES_QUARANTINE, where=where, start=first, end=end, columns=wanted)
    released = known.filter(pl.col("released_at").is_not_null())
    if released.is_empty():
        return good, bad
    key = ["ts", "row_hash"]
    accepted = bad.join(released, on=key, how="semi").join(good, on="ts", how="anti")
    rest = bad.join(released, on=key, how="anti")
    return pl.concat([good, as_candles(accepted)]).sort("ts"), rest.select(list(BAD_COLUMNS))


def as_candles(rows: pl.DataFrame) -> pl.DataFrame:
    """Quarantined rows as candles: the high raised and the low lowered to enclose open and close."""
    widened = {"high": pl.max_horizontal("open", "high", "close"), "low": pl.min_horizontal("open", "low", "close")}
    return rows.with_columns(**widened).select(list(CANDLE_COLUMNS))


def _check(store: Store, rows: pl.DataFrame) -> None:
    for row in rows.to_dicts():
        hopeless = [name for name in row["reason"].split(",") if name not in RELEASABLE]
        if hopeless:
            raise SourceError(
                f"cannot be a candle: {'; '.join(explain(row | {'reason': ','.join(hopeless)}))}",
                where=_place(row),
                remedy=REMEDIES[hopeless[0]],
            )
    doubled = rows.filter(pl.struct("market", "timeframe", "ts").is_duplicated())
    if doubled.height:
        raise SourceError(
            f"{doubled.height} of the rows claim a time that another claims too",
            where=_place(doubled.row(0, named=True)),
            remedy=f"release one of them with --row: {', '.join(map(row_id, doubled['row_hash'].head(4)))}",
        )
    for (market, timeframe), group in rows.group_by("market", "timeframe", maintain_order=True):
        first, last = group["ts"].min(), group["ts"].max()
        assert isinstance(first, datetime)
        assert isinstance(last, datetime)
        stored = store.read(
            CANDLES,
            where={"market": str(market), "timeframe": str(timeframe)},
            start=first,
            end=last + timedelta(microseconds=1),
            columns=["ts"],
        )
        taken = group.join(stored, on="ts", how="semi")
        if taken.height:
            raise SourceError(
                "a valid candle of this time is stored: there is nothing to release",
                where=_place(taken.row(0, named=True)),
                remedy="leave the row in quarantine",
            )


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['market']} {row['timeframe']} {row['ts']:%Y-%m-%d %H:%M} row {row_id(row['row_hash'])[:8]}"
