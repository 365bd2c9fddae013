"""The node beside its backtest, from its journal and the store; and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from trading_assets.backtest.shadow import Contender
from trading_assets.core.errors import TradingError
from trading_assets.divergence.attribution import CANDLES, DECISIONS, KEY, LIVE, MADE, attribute
from trading_assets.divergence.backtests import Beside, backtests_of, is_open
from trading_assets.divergence.days import by_day
from trading_assets.divergence.decisions import decisions_of, with_known_at
from trading_assets.journal import PLANS
from trading_assets.performance.stored import finest, journalled, node_of, trades_of
from trading_assets.performance.trades import Events
from trading_assets.settings import Settings
from trading_assets.settings.days import midnight
from trading_assets.store.contract import Store
from trading_assets.store.tables import DIVERGENCE, DIVERGENCE_DAYS, LIVE_FEATURES, ORDERS, SIGNALS
from trading_assets.strategies.plans.plan import TradePlan

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Found:
    """A node's newest days beside the backtest.

    Attributes
    ----------
    node
        Its name; empty where it decided nothing.
    since, until
        The first day looked at, and the end of the last one; None where it decided nothing.
    trades, days
        Rows of ``divergence`` and ``divergence_days``.
    notes
        Which versions could not be compared, and why.
    """

    node: str
    since: datetime | None
    until: datetime | None
    trades: pl.DataFrame
    days: pl.DataFrame
    notes: tuple[str, ...] = ()


def measure(store: Store, settings: Settings, *, day: datetime | None = None) -> Found:
    """Hold the trades of a day, or of the newest ``divergence.days`` days, beside a backtest of the same bars.

    A day's backtest begins the day before, so that what was open at midnight is open in it, too. Trades that are open,
    or that the stored candles do not cover to their end, wait for the next time.

    Parameters
    ----------
    store, settings
        The project's; the node's journal is read where the node has it.
    day
        The UTC day's begin; None for the newest ones.
    """
    events = journalled(settings)
    signals = _once(events[SIGNALS.name])
    if signals.is_empty():
        return _nothing("")
    node, newest = node_of(events), signals["known_at"].max()
    assert isinstance(newest, datetime)
    since = day if day is not None else midnight(newest.date()) - (settings.divergence.days - 1) * _DAY
    until = since + _DAY if day is not None else midnight(newest.date()) + _DAY
    about = signals.filter(pl.col("known_at").is_between(since - _DAY, until, closed="left"))
    if about.is_empty():
        return _nothing(node)
    beside, notes = _backtests(store, settings, about, events[LIVE_FEATURES.name])
    if not beside:
        return Found(node, since, until, _no_trades(), by_day(_no_trades()), notes)
    keys = pl.DataFrame([*beside], schema={"model": pl.String, "model_version": pl.Int32}, orient="row")
    compared = about.join(keys, on=["model", "model_version"], how="semi")
    rows = _attributed(store, settings, events, compared, [*beside.values()])
    inside = rows.filter(pl.col("ts").is_between(since, until, closed="left"))
    told = inside.with_columns(node=pl.lit(node)).select(*DIVERGENCE.columns)
    return Found(node, since, until, told, by_day(told), notes)


def keep(store: Store, found: Found) -> None:
    """Write the days in place of what was known of them."""
    if found.since is None or found.until is None:
        return
    where = {"node": found.node}
    store.replace(DIVERGENCE, found.trades, where=where, start=found.since, end=found.until)
    store.replace(DIVERGENCE_DAYS, found.days, where=where, start=found.since, end=found.until)


def _once(signals: pl.DataFrame) -> pl.DataFrame:
    """Each decision once, with when its bar was known: after a restart a bar may be decided on again."""
    newest = signals.sort("seq").unique(["model", "market", "timeframe", "bar_ts"], keep="last", maintain_order=True)
    return with_known_at(newest)


def _backtests(
    store: Store, settings: Settings, signals: pl.DataFrame, live: pl.DataFrame
) -> tuple[dict[tuple[str, int], Beside], tuple[str, ...]]:
    """(model, version) -> its backtests; and why others have none."""
    found, notes = dict[tuple[str, int], Beside](), list[str]()
    by_version = ["model", "model_version", "bundle_hash"]
    for key, mine in signals.group_by(by_version, maintain_order=True):
        contender = Contender(str(key[0]), int(str(key[1])), str(key[2]))
        rows = live.filter(
            (pl.col("model") == contender.model) & (pl.col("bundle_hash") == contender.bundle_hash)
        ).join(mine, on=["market", "bar_ts"], how="semi")
        try:
            found[contender.model, contender.version] = backtests_of(store, settings, contender, mine, rows)
        except TradingError as error:
            notes.append(f"{contender.model} version {contender.version}: {error}")
    return found, tuple(notes)


def _attributed(
    store: Store, settings: Settings, events: Events, signals: pl.DataFrame, beside: list[Beside]
) -> pl.DataFrame:
    """All trades on these decisions that are over in the node and in the backtests, with their gaps' parts."""
    first: datetime = signals["known_at"].min()  # type: ignore[assignment]
    market_end = max(one.end for one in beside)
    made = trades_of(store, settings, events).join(signals.select("signal_id"), on="signal_id", how="semi")
    timeframes = signals.select("signal_id", "known_at")
    live = made.join(timeframes, on="signal_id").with_columns(ts="known_at").select(*LIVE)
    said, stored = (
        pl.concat([pl.DataFrame(schema=MADE), *frames])
        for frames in zip(*((b.said, b.stored) for b in beside), strict=True)
    )
    waiting = pl.concat(
        [
            said.filter(is_open()).select(KEY),
            stored.filter(is_open()).select(KEY),
            _open_plans(events, signals),
            live.filter(pl.col("exit_ts") > market_end + _DAY).select(KEY),
        ]
    )
    live, said, stored = (one.join(waiting, on=KEY, how="anti") for one in (live, said, stored))
    covered = signals.filter(pl.col("bar_ts") < market_end)
    live = live.join(covered.select("model", "market", ts="known_at"), on=["model", "market", "ts"], how="semi")
    changed = pl.concat([one.changed for one in beside]).unique(["model", "market", "bar_ts"])
    candles = [
        finest(store, settings, market, first - _DAY)
        for market in sorted(set(signals["market"]) & set(settings.markets))
    ]
    known = pl.concat([pl.DataFrame(schema=CANDLES), *(one.select(*CANDLES) for one in candles)])
    told = decisions_of(signals.drop("known_at"), events[ORDERS.name], changed)
    return with_fees_unvalued(attribute(live, said, stored, known, told.select(*DECISIONS)), made, signals)


def with_fees_unvalued(rows: pl.DataFrame, trades: pl.DataFrame, signals: pl.DataFrame) -> pl.DataFrame:
    """Trades beside the backtest's, with a note where the node's result leaves a fee out.

    Parameters
    ----------
    rows
        Columns of ``divergence``.
    trades
        Rows of ``live_trades``.
    signals
        ``signal_id`` and ``known_at``.
    """
    lacking = trades.filter(pl.col("fees_unvalued").fill_null("") != "")
    named = lacking.join(signals.select("signal_id", "known_at"), on="signal_id").select(
        "model", "market", "side", "fees_unvalued", ts="known_at"
    )
    said = pl.format("fees of {} are not counted: no price is known", "fees_unvalued")
    note = pl.concat_str([pl.when(pl.col("note") != "").then("note"), said], separator="; ", ignore_nulls=True)
    joined = rows.join(named, on=KEY, how="left", maintain_order="left")
    return joined.with_columns(note=pl.when(pl.col("fees_unvalued").is_null()).then("note").otherwise(note)).drop(
        "fees_unvalued"
    )


def _open_plans(events: Events, signals: pl.DataFrame) -> pl.DataFrame:
    """The keys of trades that the node has not ended yet."""
    newest = events[PLANS].sort("seq").unique("signal_id", keep="last", maintain_order=True)
    read = [(row["signal_id"], TradePlan.from_json(row["plan"])) for row in newest.iter_rows(named=True)]
    going = [(signal_id, plan.side.word) for signal_id, plan in read if plan.stage != "closed"]
    sides = pl.DataFrame(going, schema={"signal_id": pl.String, "side": pl.String}, orient="row")
    return signals.select("signal_id", "model", "market", ts="known_at").join(sides, on="signal_id").select(KEY)


def _no_trades() -> pl.DataFrame:
    return pl.DataFrame(schema=DIVERGENCE.columns)


def _nothing(node: str) -> Found:
    return Found(node, None, None, _no_trades(), by_day(_no_trades()))
