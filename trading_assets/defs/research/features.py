"""Features: every indicator of every 15-minute bar, computed by the function that the live node calls too."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg
import numpy as np
import polars as pl

from trading_assets.core.errors import MissingCandles
from trading_assets.core.timeframes import Timeframe
from trading_assets.defs.lib.freshness import FRESH
from trading_assets.defs.lib.metadata import RESEARCH_TEAM, asset_metadata, describe_partitions, origin_tags
from trading_assets.defs.lib.partitions import MARKET_MONTHS, SETTINGS, Window, look_back, windows
from trading_assets.defs.lib.recomputed_rows import bar_start, made_anew, resume_at
from trading_assets.defs.sql_models.bars import FOLLOWS_DATA
from trading_assets.features import compute, feature_names, fingerprint, lookback_bars, registry
from trading_assets.features.framework.auxiliary_series import COMPANIONS, join
from trading_assets.features.framework.stored_series import read_companions
from trading_assets.settings import Settings
from trading_assets.store.contract import Store
from trading_assets.store.tables import BARS, FEATURES, FUNDING_RATES

_TIMEFRAME = Timeframe.parse("15m")
_BAR = BARS[_TIMEFRAME.name]
_LOOKBACK_BARS = lookback_bars(_TIMEFRAME)
_LOOKBACK = _LOOKBACK_BARS * _TIMEFRAME.length
_FUNDING_REACH = COMPANIONS["funding"].max_age + timedelta(days=1)
_LEADER = SETTINGS.features.leader
_ON_ITS_WAY = timedelta(days=1)
"""So much later than a market's newest bar its leader's may come."""


@dg.asset(
    deps=[
        dg.AssetDep(_BAR.name, partition_mapping=look_back(_LOOKBACK, leader=_LEADER)),
        dg.AssetDep(FUNDING_RATES.name, partition_mapping=look_back(_LOOKBACK + _FUNDING_REACH)),
    ],
    group_name="features",
    owners=[RESEARCH_TEAM],
    kinds={"polars", "duckdb"},
    tags=origin_tags(SETTINGS),
    code_version=f"{fingerprint()[:12]}{f' led by {_LEADER}' if _LEADER else ''}",
    metadata={
        **asset_metadata(FEATURES, features=registry(_TIMEFRAME)),
        "features": len(feature_names(_TIMEFRAME)),
        "lookback_bars": _LOOKBACK_BARS,
    },
    partitions_def=MARKET_MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    automation_condition=FOLLOWS_DATA,
    freshness_policy=FRESH,
)
def features(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings], store: dg.ResourceParam[Store]
) -> dg.MaterializeResult[None]:
    """Every indicator of each 15-minute bar; null where funding, books and the like are not stored."""
    parts, unknown = [], {}
    for window in windows(context.partition_keys, settings):
        rows, share = write_features(store, window, settings)
        if share:
            context.log.warning(f"{window.market}: no bar of its leader beside {share:.1%} of its bars")
            unknown[f"{window.keys[0]} to {window.keys[-1]}"] = share
        parts.append((window, rows))
    said = {"without_leader": unknown} if unknown else {}
    return dg.MaterializeResult(metadata=describe_partitions(context, FEATURES, parts) | said)


def write_features(store: Store, window: Window, settings: Settings) -> tuple[pl.DataFrame, float]:
    """Make the features of one window anew; its rows, and the share of bars beside which no leader's bar is known."""
    market, where = window.market, {"market": window.market}
    start = bar_start(resume_at(store, settings, market, window.start), _TIMEFRAME.length)
    before = store.tail(_BAR, where=where, before=start, rows=_LOOKBACK_BARS - 1)
    before = before.filter(pl.col("ts") >= settings.history_start)
    own = store.read(_BAR, where=where, start=start, end=window.end)
    bars = pl.concat([before, own])
    first = bars["ts"][0] if bars.height else start
    known = read_companions(
        store, market, timeframe=_TIMEFRAME, start=first, end=window.end, leader=settings.features.leader
    )
    share = _without_leader(store, window, own, known, settings)
    rows = compute(bars, known, timeframe=_TIMEFRAME).filter(pl.col("ts") >= start)
    if (awaited := _leader_behind(store, own, market, settings)) is not None:
        rows = rows.filter(pl.col("known_at") <= awaited)
    since, until = made_anew(window, settings, start, window.end)
    store.replace(FEATURES, rows, where=where, start=since, end=until)
    return rows, share


def _leader_behind(store: Store, bars: pl.DataFrame, market: str, settings: Settings) -> datetime | None:
    """The end of the leader's newest bar where those beside the market's newest ones are still on their way.

    Two runs of one hour promise no order. A row whose leader is to come would say that it stood still; it is written by
    the next run. Where the leader is behind for longer, what is missing is null.
    """
    leader = settings.features.leader
    if leader in (None, market) or bars.is_empty():
        return None
    newest = store.tail(_BAR, where={"market": str(leader)}, before=bars["known_at"][-1], rows=1)
    if newest.is_empty():
        return None
    known: datetime = newest["known_at"][0]
    behind: timedelta = bars["known_at"][-1] - known
    return known if timedelta(0) < behind <= _ON_ITS_WAY else None


def _without_leader(
    store: Store, window: Window, bars: pl.DataFrame, known: Mapping[str, pl.DataFrame], settings: Settings
) -> float:
    """The share of a window's bars beside which no bar of the leader is known.

    Raises
    ------
    MissingCandles
        If there is none beside any of them, although the leader traded before they end, as far as the store knows.
    """
    leader = settings.features.leader
    if leader in (None, window.market) or bars.is_empty():
        return 0.0
    if "leader" in known:
        return float(np.isnan(join(bars, {"leader": known["leader"]})["leader.close"]).mean())
    stored = store.bounds(_BAR, where={"market": leader})
    if stored is None or stored[0] < window.end:
        raise MissingCandles(
            f"its leader {leader} has no bars from {bars['ts'][0]:%Y-%m-%d} to {bars['ts'][-1]:%Y-%m-%d}",
            where=window.market,
            remedy=f"run trading backfill --market {leader} for these months first",
        )
    return 1.0  # the leader was listed later
